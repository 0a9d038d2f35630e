"""`python -m measure.recordings`: who speaks when in recordings joined from held-out voices, by pyannote.metrics."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bundle import sources
from bundle.command_line import Parser
from clients.identify import Client, ClientError, turns_of
from measure import MeasureError, command
from measure.machine import provenance
from measure.openset import cuts
from measure.recordings import RESULTS, page
from measure.recordings.joined import Joined, joined
from measure.recordings.scoring import REQUIREMENTS, scored
from measure.server import add_options, chosen
from training import WORK_DIR

WINDOWS = (1.0, 2.0, 3.0, 5.0, 10.0)  # s
QUICK = {"recordings": 2, "seconds": 30.0, "windows": [3.0]}
LEAST_INSIDE = 60.0  # s of known voices, for a share of them to be shown


def main(arguments: list[str] | None = None) -> int:
    parser = Parser(prog="python -m measure.recordings", description="Measure who speaks when in recordings.")
    option = parser.add_argument
    add_options(parser)
    option("--work", type=Path, default=WORK_DIR, help="what `training` built (%(default)s)")
    option("--recordings", type=int, default=10, help="how many (%(default)s)")
    option("--seconds", type=float, default=120.0, help="of a recording (%(default)s)")
    option("--windows", type=float, nargs="+", default=WINDOWS, help="lengths, in seconds (%(default)s)")
    option("--head", help="of a model whose answers have several")
    options = command.parsed(parser, arguments, QUICK)
    return command.guarded("measure.recordings", lambda: measure(options))


def measure(options: Namespace) -> None:
    screen = command.console()
    voices = cuts.load(options.work)
    recordings = [
        joined(voices.named_test, voices.strangers, options.seconds, seed)
        for seed in range(options.recordings)
    ]
    specs = [] if options.url else [sources.resolve(options.model)]
    with (
        chosen(options.url, specs, "recordings", screen, server=options.server) as (url, _),
        Client(url, options.model, token=options.token) as client,
    ):
        runs = []
        for window in options.windows:
            for hop in (window, window / 2):
                answers = asked(client, recordings, (window, hop), options.head)
                runs.append(
                    {
                        "window": window,
                        "hop": hop,
                        "errors": [each.model_dump() for each in scored(recordings, answers, 0.0)],
                        # a window that begins a window's length from a change, or further, has one voice
                        "inside": [each.model_dump() for each in scored(recordings, answers, 2 * window)],
                    }
                )
                screen.print(f"windows of {window:g} s every {hop:g} s are answered and scored")
    content = {
        "provenance": provenance(),
        "model": options.model,
        "scored_by": _pinned(),
        "recordings": options.recordings,
        "seconds": options.seconds,
        "least_inside": LEAST_INSIDE,
        "joined": {
            "turns": sum(len(each.turns) for each in recordings),
            "known": sum(each.seconds - each.strangers_seconds for each in recordings),
            "strangers": sum(each.strangers_seconds for each in recordings),
        },
        "runs": runs,
    }
    screen.print(page.table(content).rich())
    if not options.no_record:
        page.record(content, RESULTS)


def asked(
    client: Client, recordings: Sequence[Joined], windows: tuple[float, float], head: str | None
) -> list[list[dict[str, Any]]]:
    """The turns that the server answers about each recording.

    Raises:
        MeasureError: it refuses one, or answers with several heads.
    """
    answers = []
    for recording in recordings:
        try:
            found = client.windows(recording.wav(), windows, heads=head)
        except ClientError as exc:
            raise MeasureError(str(exc)) from exc
        rankings = found[0]["ranking"]
        if isinstance(rankings, dict) and head not in rankings:
            raise MeasureError(
                f"the answers have several heads: choose one with --head, of {', '.join(rankings)}"
            )
        answers.append(turns_of(found, head if isinstance(rankings, dict) else None))
    return answers


def _pinned() -> str:
    lines = REQUIREMENTS.read_text("utf-8").splitlines()
    return next(line for line in lines if line.startswith("pyannote.metrics")).replace("==", " ")


if __name__ == "__main__":
    sys.exit(main())
