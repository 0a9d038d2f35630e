"""The recorded runs → what stands between their markers in docs/results/fairness.md:

python -m measure.cancellation.page
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from measure import noise
from measure.cancellation import FOLDER, RESULTS
from measure.cancellation.traffic import CONDITIONS, Run
from measure.document import Page, Table, join
from measure.loadtest.summary import percentile
from measure.machine import Machine
from measure.results import load_json, save_json

PAGE = Page.of("fairness", "measure.cancellation.page")
COMMAND = "python -m measure.cancellation"
HEADINGS = (
    *("who hangs up", "callers", "audio they sent, s", "encoded, s", "of it for nobody, s"),
    *("stayers' answers", "p50, ms", "p99, ms", "failed"),
)


def record(content: dict[str, Any]) -> None:
    """Keep the runs of this server beside those of others, and write the page again."""
    kept = load_json(RESULTS, COMMAND) if RESULTS.exists() else {}
    save_json({**kept, content["settings"]["server"]: content}, RESULTS)
    PAGE.write(text(FOLDER))


def text(results: Path) -> str:
    if not (results / RESULTS.name).is_file():
        return f"No result is recorded: `{COMMAND}` records one."
    kept = load_json(results / RESULTS.name, COMMAND)
    return join(*(part for server, content in kept.items() for part in _server(server, content)))


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


if __name__ == "__main__":
    sys.exit(PAGE.main(text, FOLDER))
