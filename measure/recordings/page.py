"""The recorded result → what stands between the markers of docs/results/recordings.md:

python -m measure.recordings.page
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from measure.document import Page, Table, join
from measure.machine import Machine
from measure.recordings import DECODING, FOLDER, RESULTS
from measure.recordings.scoring import Errors, interval, rate
from measure.results import load_json, save_json

PAGE = Page.of("recordings", "measure.recordings.page")
COMMAND = "python -m measure.recordings"
ALL = ("confusion", "missed", "false_alarm")
COSTS = ("recording", "length, s", "file, MB", "peak memory, MB", "processor, s", "first block, s")
HEADINGS = (
    *("window, s", "hop, s", "identification error", "another's name", "called unknown", "strangers named"),
    *("of strangers' time", "error far from changes"),
)


def record(content: dict[str, Any], file: Path) -> None:
    save_json(content, file)
    PAGE.write(text(FOLDER))


def text(results: Path) -> str:
    """Both results, with what stands where one has not been recorded."""
    return join(_errors(results / RESULTS.name), "### What decoding costs", _costs(results / DECODING.name))


def _costs(file: Path) -> str:
    command = f"{COMMAND}.decoding"
    if not file.is_file():
        return f"No result is recorded: `{command}` records one."
    content = load_json(file, command)
    machine = Machine.model_validate(content["provenance"]["machine"])
    return join(f"{content['provenance']['date'][:10]}, {machine.words()}.", costs(content))


def costs(content: dict[str, Any]) -> Table:
    rows = [
        [
            row["format"],
            f"{row['seconds']:.0f}",
            f"{row['file_bytes'] / 1e6:.1f}",
            f"{row['peak_bytes'] / 1e6:.0f}",
            f"{row['cpu_seconds']:.2f}",
            f"{row['first_seconds']:.2f}",
        ]
        for row in content["rows"]
    ]
    return Table(COSTS, rows, "l")


def _errors(file: Path) -> str:
    if not file.is_file():
        return f"No result is recorded: `{COMMAND}` records one."
    content = load_json(file, COMMAND)
    machine = Machine.model_validate(content["provenance"]["machine"])
    known, strangers, turns = (content["joined"][name] for name in ("known", "strangers", "turns"))
    return join(
        f"{content['provenance']['date'][:10]}, model {content['model']}, {machine.words()}, {content['scored_by']}; "
        f"{content['recordings']} recordings of {content['seconds']:g} s with {turns} turns: {known / 60:.1f} minutes "
        f"of known voices, {strangers / 60:.1f} of strangers.",
        table(content),
    )


def table(content: dict[str, Any]) -> Table:
    strangers = content["joined"]["strangers"]
    rows = []
    for run in content["runs"]:
        errors, inside = (
            [Errors.model_validate(each) for each in run[name]] for name in ("errors", "inside")
        )
        low, high = interval(errors, *ALL)
        enough = sum(each.total for each in inside) >= content["least_inside"]
        rows.append(
            [
                f"{run['window']:g}",
                f"{run['hop']:g}",
                f"{rate(errors, *ALL):.1%} ({low:.1%}–{high:.1%})",
                f"{rate(errors, 'confusion'):.1%}",
                f"{rate(errors, 'missed'):.1%}",
                f"{rate(errors, 'false_alarm'):.1%}",
                f"{sum(each.false_alarm for each in errors) / strangers:.1%}",
                f"{rate(inside, *ALL):.1%}" if enough else "",
            ]
        )
    return Table(HEADINGS, rows, "r")


if __name__ == "__main__":
    sys.exit(PAGE.main(text, FOLDER))
