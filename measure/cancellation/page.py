"""The recorded runs → what stands between their markers in docs/results/fairness.md:

python -m measure.cancellation.page
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from measure import noise
from measure.by_server import Recorded
from measure.cancellation import FOLDER, RESULTS
from measure.cancellation.traffic import CONDITIONS, Run
from measure.document import Page, Table
from measure.loadtest.summary import percentile
from measure.machine import Machine

PAGE = Page.of("fairness", "measure.cancellation.page")
HEADINGS = (
    *("who hangs up", "callers", "audio they sent, s", "encoded, s", "of it for nobody, s"),
    *("stayers' answers", "p50, ms", "p99, ms", "failed"),
)


def _server(server: str, content: dict[str, Any]) -> list[object]:
    machine, asked = Machine.model_validate(content["provenance"]["machine"]), content["settings"]
    return [
        f"### Hanging up on {server}",
        f"{content['provenance']['date'][:10]}, {machine.words()}; {asked['rounds']} rounds of {asked['seconds']:g} s "
        f"a run, in which {asked['stayers']:g} callers a second stay, and {asked['storm']} at once, every "
        f"{asked['every']:g} s, hang up after {1000 * asked['patience']:g} ms. {noise.words(content['foreign_cores'])}",
        table([Run.of(run) for run in content["runs"]]),
    ]


def table(runs: Sequence[Run]) -> Table:
    """Sums over all rounds, and percentiles of the answers of all."""
    rows = []
    for condition in CONDITIONS:
        found = [run for run in runs if run.condition == condition]
        waits = sorted(each for run in found for each in run.latencies)
        sums = (
            sum(getattr(run, name) for run in found)
            for name in ("hung_up", "hung_up_seconds", "encoded_seconds", "for_nobody_seconds")
        )
        shares = (f"{percentile(waits, share):.0f}" if waits else "–" for share in (0.5, 0.99))
        failed = str(sum(run.failed for run in found))
        rows.append([condition, *(f"{each:,.0f}" for each in sums), f"{len(waits):,}", *shares, failed])
    return Table(HEADINGS, rows)


RECORDED = Recorded("python -m measure.cancellation", RESULTS, PAGE, _server)
record, text = RECORDED.record, RECORDED.text


if __name__ == "__main__":
    sys.exit(PAGE.main(text, FOLDER))
