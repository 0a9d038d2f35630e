"""The two model servers beside each other, and what a user of Triton would set up → docs/results/model-servers.md.

python -m measure.compare.model_servers
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from measure import noise
from measure.compare import RESULTS
from measure.compare.contenders import OF_TRITON, TRITON
from measure.compare.plots import FILE
from measure.compare.report import TITLE, judgement, report
from measure.compare.results import COST_FILE, OVERHEAD_FILE, CostRow, OverheadRow, newest_run
from measure.compare.targets import counts
from measure.document import Columns, Page, Table, join, known
from measure.results import newest
from measure.verdict import Verdict

PAGE = Page.of("model-servers", "measure.compare.model_servers")
NO_OVERHEAD = "No complete run of `python -m measure.compare.overhead` is committed."
NO_COST = "No complete run of `python -m measure.compare.cost` is committed."
# wanted of each model server: share of the bare encoder's throughput, and ms that a lone clip may take more
KEPT = {"torchserve": 0.95, TRITON: 0.97}
ADDED = {"torchserve": ("HTTP", 15.0), TRITON: ("gRPC", 8.0)}
CPU_MS = {TRITON: ("grpc", 2.5)}
WAYS: Mapping[str, str] = {
    "bytes": "HTTP, the file as the body",
    "json": "HTTP, v2 JSON with base64",
    "binary": "HTTP, v2 binary tensor",
    "grpc": "gRPC",
}
OF_OVERHEAD: Columns[OverheadRow] = [
    ("server", lambda row: row.server),
    ("precision", lambda row: row.precision),
    ("served, audio s/s", lambda row: f"{row.served:.1f}"),
    ("bare", lambda row: f"{row.bare:.1f}"),
    ("kept", lambda row: f"{row.kept:.1%}"),
    ("lone clip, bare", lambda row: f"{1000 * row.lone_bare:.0f} ms"),
    ("by HTTP", lambda row: f"+{1000 * row.lone_added:.0f} ms"),
    ("by gRPC", lambda row: known(milliseconds(row.grpc_added), "+{:.0f} ms")),
    ("in the encoder, served", lambda row: known(milliseconds(row.lone_inference), "{:.0f} ms")),
]
OF_COST: Columns[CostRow] = [
    ("server", lambda row: row.server),
    ("asked by", lambda row: WAYS[row.way]),
    ("CPU ms a request", lambda row: f"**{row.cpu_ms:.2f}**"),
    ("gateway", lambda row: f"{row.gateway_ms:.2f}"),
    ("Java or tritonserver", lambda row: f"{row.server_ms:.2f}"),
    ("worker", lambda row: f"{row.worker_ms:.2f}"),
    ("decoders", lambda row: f"{row.decoders_ms:.2f}"),
    ("requests/s", lambda row: f"{row.rate:.0f}"),
    ("lone ms", lambda row: f"{row.lone_ms:.1f}"),
]


def milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else 1000 * seconds


def text(folder: Path) -> str:
    """The Markdown of the newest complete runs in the folder."""
    beside, added = folder / TRITON, newest(folder / OVERHEAD_FILE, OverheadRow)
    costs = newest(folder / COST_FILE, CostRow)
    rows, steps = newest_run(beside)
    return join(
        "### Saturation, capacity, latencies, memory",
        report(rows, steps, OF_TRITON, [], PAGE.image(TITLE, beside / FILE)),
        "### Against the bare encoder",
        overhead(added),
        "### Processor time beside the encoder",
        cost(costs),
        "### Targets",
        judgement([*of_overhead(added), *of_cost(costs), *counts(rows)], ".3g"),
    )


def overhead(rows: Sequence[OverheadRow]) -> str:
    """The Markdown of what serving adds."""
    if not rows:
        return NO_OVERHEAD
    first = rows[0]
    return join(
        f"{first.words()}; {first.run}. Model: {first.model}. Work: {first.clips}; the lone clip has 3 s, median of "
        f"{first.lone_clips}.",
        Table.of(rows, OF_OVERHEAD, "ll"),
    )


def of_overhead(rows: Sequence[OverheadRow]) -> list[Verdict]:
    found = []
    for row in rows:
        way, most = ADDED[row.server]
        added = milliseconds(row.grpc_added if way == "gRPC" else row.lone_added)
        name = f"{row.server} {row.precision}"
        found += [
            Verdict(
                f"{name} by the bare encoder",
                100 * KEPT[row.server],
                100 * row.kept,
                at="saturation",
                unit=" %",
            ),
            Verdict(f"{name}, a lone clip of 3 s more than bare", most, added, False, f"lone, {way}", " ms"),
        ]
    return found


def cost(rows: Sequence[CostRow]) -> str:
    """The Markdown of what serving costs in processor time."""
    if not rows:
        return NO_COST
    first = rows[0]
    return join(
        f"{first.words()}; {first.run}. Model: {first.model}. Work: {first.clips}; 16 callers, then one. "
        f"{noise.words(first.foreign_cores)}",
        Table.of(rows, OF_COST, "ll"),
    )


def of_cost(rows: Sequence[CostRow]) -> list[Verdict]:
    return [
        Verdict(
            f"{row.server}, a request beside the encoder",
            CPU_MS[row.server][1],
            row.cpu_ms,
            False,
            "gRPC",
            " CPU ms",
        )
        for row in rows
        if row.server in CPU_MS and row.way == CPU_MS[row.server][0]
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    return PAGE.main(text, RESULTS, arguments)


if __name__ == "__main__":
    sys.exit(main())
