"""`python -m measure.batch_job`: `make batch` on many clips beside live callers, and the part of the page about it."""

from __future__ import annotations

import sys
import tempfile
import time
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from clients.identify import Client
from measure.batch_job.job import Job, archive, kept
from measure.batch_job.page import COMPARISON
from measure.batch_job.traffic import CONDITIONS, PAUSED, run
from measure.loadtest.clips import cut
from measure.loadtest.comparison import MODEL, Content
from measure.loadtest.phases import by_turns

QUICK = {"clips": 1000, "rounds": 1, "seconds": 3.0}


def main(arguments: list[str] | None = None) -> int:
    parser = COMPARISON.parser(
        "Measure whether live callers feel a batch job.",
        rounds=(32, "each with and without the job"),
        seconds=(4.5, "of a phase"),
    )
    option = parser.add_argument
    option("--clips", type=int, default=10_000, help="of the job (%(default)s)")
    option("--clip", type=float, default=1.0, help="seconds of a clip, of the job and live (%(default)s)")
    option("--live", type=float, default=20.0, help="live requests a second (%(default)s)")
    return COMPARISON.main(parser, arguments, QUICK, measure)


def measure(options: Namespace, screen: Console) -> Content:
    order = by_turns(*CONDITIONS, options.rounds, options.seconds)
    with tempfile.TemporaryDirectory(prefix="batch-") as folder:
        clips = cut(Path(folder), options.clip)
        of = archive(Path(folder) / "archive", [clip.path for clip in clips], options.clips)
        with COMPARISON.service(options, screen) as service:
            url = service.gateway.url
            with Client(url, MODEL) as client:
                labels = [client.identify(clip.path).labels[0].label for clip in clips]
            job = Job(Path(folder) / "archive", Path(folder) / "answers.jsonl", url, MODEL)
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
    return {
        "runs": [each.row() for each in runs],
        "job": {
            "killed_at": killed_at,
            "seconds": round(seconds, 1),
            "paused": sum(phase.seconds for phase in order if phase.condition == PAUSED),
            "kept": asdict(found),
        },
    }


if __name__ == "__main__":
    sys.exit(main())
