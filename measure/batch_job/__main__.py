"""`python -m measure.batch_job`: `make batch` on many clips beside live callers, and the part of the page about it."""

from __future__ import annotations

import sys
import tempfile
import time
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bundle import sources
from bundle.command_line import Parser
from clients.identify import Client
from measure import command
from measure.batch_job import page
from measure.batch_job.job import Job, archive, kept
from measure.batch_job.traffic import CONDITIONS, PAUSED, run
from measure.loadtest.clips import cut
from measure.loadtest.phases import by_turns
from measure.loadtest.run import PACKAGES
from measure.machine import provenance
from measure.noise import Neighbours
from serving import model_servers
from serving.model_servers import Chosen
from serving.temporary import serving

MODEL = "demo"


def main(arguments: list[str] | None = None) -> int:
    parser = Parser(
        prog="python -m measure.batch_job", description="Measure whether live callers feel a batch job."
    )
    option = parser.add_argument
    option("--server", choices=model_servers.NAMES, default=model_servers.DEFAULT.name, help="(%(default)s)")
    option("--clips", type=int, default=10_000, help="of the job (%(default)s)")
    option("--clip", type=float, default=1.0, help="seconds of a clip, of the job and live (%(default)s)")
    option("--rounds", type=int, default=32, help="each with and without the job (%(default)s)")
    option("--seconds", type=float, default=4.5, help="of a phase (%(default)s)")
    option("--live", type=float, default=20.0, help="live requests a second (%(default)s)")
    option("--no-record", action="store_true", help="write neither results nor page")
    options = parser.parse_args(arguments)
    return command.guarded("measure.batch_job", lambda: measure(options))


def measure(options: Namespace) -> None:
    screen, neighbours = command.console(), Neighbours()
    with tempfile.TemporaryDirectory(prefix="batch-") as folder:
        clips = cut(Path(folder), options.clip)
        of = archive(Path(folder) / "archive", [clip.path for clip in clips], options.clips)
        with serving([sources.resolve(MODEL)], "batch-job", screen, Chosen(options.server)) as service:
            url = service.gateway.url
            with Client(url, MODEL) as client:
                labels = [client.identify(clip.path).labels[0].label for clip in clips]
            job = Job(Path(folder) / "archive", Path(folder) / "answers.jsonl", url, MODEL)
            order = by_turns(*CONDITIONS, options.rounds, options.seconds)
            began = time.monotonic()
            try:
                live = f"{url}/predictions/{MODEL}"
                runs, killed_at = run(job, options.clips, clips, live, options.live, order)
                screen.print(f"batch-job: {job.lines():,} answers beside live callers")
                job.finish()
            finally:
                job.kill()
            seconds = time.monotonic() - began
        found = kept(job.answers, {name: labels[which] for name, which in of.items()})
    content: dict[str, Any] = {
        "provenance": provenance(*PACKAGES),
        "foreign_cores": neighbours.cores(),
        "settings": {name: value for name, value in vars(options).items() if name != "no_record"},
        "runs": [each.row() for each in runs],
        "job": {
            "killed_at": killed_at,
            "seconds": round(seconds, 1),
            "paused": sum(phase.seconds for phase in order if phase.condition == PAUSED),
            "kept": asdict(found),
        },
    }
    screen.print(page.table(runs).rich())
    screen.print(page.job(options.clips, content["job"]))
    if not options.no_record:
        page.record(content)


if __name__ == "__main__":
    sys.exit(main())
