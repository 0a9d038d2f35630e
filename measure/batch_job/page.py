"""The recorded runs → what stands between their markers in docs/results/fairness.md:

python -m measure.batch_job.page
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from typing import Any

from measure import noise
from measure.batch_job import FOLDER, RESULTS
from measure.batch_job.job import Kept
from measure.batch_job.traffic import CONDITIONS, PAUSED, Run
from measure.by_server import Recorded
from measure.document import Page, Table
from measure.loadtest.phases import pooled, ratio, shown, verdict
from measure.machine import Machine

PAGE = Page.of("fairness", "measure.batch_job.page")
SHARES = (0.5, 0.99)
MOST = 1.1  # times the p99 that live callers have without the job
HEADINGS = (
    *("a job runs", "its clips/s", "live answers", "p50, ms", "p99, ms", "p50, times", "p99, times"),
    *("at most 1.10", "failed"),
)


def _server(server: str, content: dict[str, Any]) -> list[object]:
    machine, asked = Machine.model_validate(content["provenance"]["machine"]), content["settings"]
    return [
        f"### A batch job on {server}",
        f"{content['provenance']['date'][:10]}, {machine.words()}; {asked['rounds']} rounds of phases of "
        f"{asked['seconds']:g} s, in which live callers send {asked['live']:g} requests a second; clips of "
        f"{asked['clip']:g} s. {noise.words(content['foreign_cores'])}",
        table([Run.of(run) for run in content["runs"]]),
        job(asked["clips"], content["job"]),
    ]


def table(runs: Sequence[Run]) -> Table:
    """Percentiles over all rounds, and their ratios to those without a job."""
    of = {condition: [run for run in runs if run.condition == condition] for condition in CONDITIONS}
    without = [run.latencies for run in of[PAUSED]]
    rows = []
    for condition, found in of.items():
        ours = [run.latencies for run in found]
        ratios = [] if condition == PAUSED else [ratio(ours, without, share) for share in SHARES]
        rows.append(
            [
                condition,
                f"{statistics.fmean(run.clips for run in found):.1f}",
                f"{sum(map(len, ours)):,}",
                *(f"{pooled(ours, share):.0f}" for share in SHARES),
                *(map(shown, ratios) if ratios else ("1", "1")),
                verdict(ratios[-1], MOST) if ratios else "",
                str(sum(run.failed for run in found)),
            ]
        )
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


RECORDED = Recorded("python -m measure.batch_job", RESULTS, PAGE, _server)
record, text = RECORDED.record, RECORDED.text


if __name__ == "__main__":
    sys.exit(PAGE.main(text, FOLDER))
