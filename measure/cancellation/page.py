"""The recorded runs → what stands between their markers in docs/results/fairness.md:

python -m measure.cancellation.page
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from measure.cancellation import FOLDER
from measure.cancellation.traffic import CONDITIONS, CancellationRun
from measure.document import Page, Table
from measure.loadtest.comparison import Comparison, Content
from measure.loadtest.ratios import failed, percentiles

HEADINGS = (
    *("who hangs up", "callers", "audio they sent, s", "encoded, s", "of it for nobody, s"),
    *("stayers' answers", "p50, ms", "p99, ms", "failed"),
)
SUMS = ("hung_up", "hung_up_seconds", "encoded_seconds", "for_nobody_seconds")


def method(asked: dict[str, Any]) -> str:
    return (
        f"{asked['rounds']} rounds of {asked['seconds']:g} s a run, in which {asked['stayers']:g} callers a second "
        f"stay, and {asked['storm']} at once, every {asked['every']:g} s, hang up after "
        f"{1000 * asked['patience']:g} ms"
    )


def table(runs: Sequence[CancellationRun]) -> Table:
    """Sums over all rounds, and percentiles of the answers of all."""
    rows = []
    for condition in CONDITIONS:
        found = [run for run in runs if run.condition == condition]
        rows.append(
            [
                condition,
                *(f"{sum(getattr(run, name) for run in found):,.0f}" for name in SUMS),
                f"{sum(len(run.latencies) for run in found):,}",
                *percentiles(found),
                failed(found),
            ]
        )
    return Table(HEADINGS, rows)


def figures(content: Content) -> list[Table | str]:
    return [table([CancellationRun.of(row) for row in content["runs"]])]


COMPARISON = Comparison(
    "cancellation",
    FOLDER,
    Page.of("fairness", "measure.cancellation.page"),
    "Hanging up on {}",
    method,
    figures,
)


if __name__ == "__main__":
    sys.exit(COMPARISON.write())
