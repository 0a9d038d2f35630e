"""The recorded result → what stands between the markers of docs/results/recordings.md:

python -m measure.recordings.page
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bundle.enrolment.intervals import by_unit
from measure.document import Page, Table, join, recorded
from measure.machine import where
from measure.recordings import DECODING, FOLDER, RESULTS
from measure.recordings.scoring import Errors, rate
from measure.results import save_json

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
    return join(
        recorded(results / RESULTS.name, COMMAND, _errors),
        "### What decoding costs",
        recorded(results / DECODING.name, f"{COMMAND}.decoding", _costs),
    )


def _costs(content: dict[str, Any]) -> str:
    return join(f"{where(content['provenance'])}.", costs(content))


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


def _errors(content: dict[str, Any]) -> str:
    known, strangers, turns = (content["joined"][name] for name in ("known", "strangers", "turns"))
    return join(
        f"{where(content['provenance'])}, {content['scored_by']}; the model {content['model']}, "
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
        enough = sum(each.total for each in inside) >= content["least_inside"]
        rows.append(
            [
                f"{run['window']:g}",
                f"{run['hop']:g}",
                _interval(errors),
                f"{rate(errors, 'confusion'):.1%}",
                f"{rate(errors, 'missed'):.1%}",
                f"{rate(errors, 'false_alarm'):.1%}",
                f"{sum(each.false_alarm for each in errors) / strangers:.1%}",
                f"{rate(inside, *ALL):.1%}" if enough else "",
            ]
        )
    return Table(HEADINGS, rows, "r")


def _interval(errors: Sequence[Errors]) -> str:
    """All errors, with what drawing recordings again gives."""
    found = by_unit(len(errors), lambda drawn: rate([errors[each] for each in drawn], *ALL))
    return f"{found.value:.1%} ({found.low:.1%}–{found.high:.1%})"


if __name__ == "__main__":
    sys.exit(PAGE.main(text, FOLDER))
