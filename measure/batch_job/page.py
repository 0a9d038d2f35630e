"""The recorded runs → what stands between their markers in docs/results/fairness.md:

python -m measure.batch_job.page
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from typing import Any

from measure.batch_job import FOLDER
from measure.batch_job.job import Kept
from measure.batch_job.traffic import CONDITIONS, PAUSED, JobRun
from measure.document import Page, Table
from measure.loadtest.comparison import Comparison, Content
from measure.loadtest.ratios import by_condition, compared, failed, percentiles

MOST = 1.1  # times the p99 that live callers have without the job
HEADINGS = (
    *("a job runs", "its clips/s", "live answers", "p50, ms", "p99, ms", "p50, times", "p99, times"),
    *("at most 1.10", "failed"),
)


def method(asked: dict[str, Any]) -> str:
    return (
        f"{asked['rounds']} rounds of phases of {asked['seconds']:g} s, in which live callers send {asked['live']:g} "
        f"requests a second; clips of {asked['clip']:g} s"
    )


def table(runs: Sequence[JobRun]) -> Table:
    """Percentiles over all rounds, and their ratios to those without a job."""
    found = by_condition(runs, CONDITIONS)
    rows = [
        [
            condition,
            f"{statistics.fmean(run.clips for run in ours):.1f}",
            f"{sum(len(run.latencies) for run in ours):,}",
            *percentiles(ours),
            *compared(ours, found[PAUSED], MOST),
            failed(ours),
        ]
        for condition, ours in found.items()
    ]
    return Table(HEADINGS, rows)


def job(clips: int, found: dict[str, Any]) -> str:
    """What became of the job, in a sentence."""
    result = Kept(**found["kept"])
    killed = found["killed_at"]
    ended = (
        f"killed at {killed:,} answers and started again"
        if killed is not None
        else "not killed: it had ended"
    )
    return (
        f"The job of {clips:,} clips was {ended}; it took {found['seconds']:.0f} s in all, of which it was paused "
        f"{found['paused']:.0f} s. {result.clips:,} clips have an answer, {result.repeated} more than one, "
        f"{result.failed} an error, and {result.wrong} another label than alone."
    )


def figures(content: Content) -> list[Table | str]:
    runs = [JobRun.of(row) for row in content["runs"]]
    return [table(runs), job(content["settings"]["clips"], content["job"])]


COMPARISON = Comparison(
    "batch_job",
    FOLDER,
    Page.of("fairness", "measure.batch_job.page"),
    "A batch job on {}",
    method,
    figures,
)


if __name__ == "__main__":
    sys.exit(COMPARISON.write())
