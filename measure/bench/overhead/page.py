"""The tables of docs/results/overhead.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from measure import noise
from measure.bench.overhead.start import RESTART, START
from measure.bench.overhead.targets import verdicts
from measure.bench.recordings import CLIP_SECONDS
from measure.document import Page, Table, join, known
from measure.machine import Machine

FILE, PAGE = "overhead.json", Page.of("overhead", "measure.bench.overhead")
TITLES = {
    "cost": "### A request",
    "cost, against another checkout": "### A request, against another checkout",
    "cost, with the demo's encoder": "### A request, with the demo's encoder",
    "start": "### A start",
    "start, full size": "### A start at full size",
    "memory": "### Workers side by side",
    "capacity": "### Capacity",
}


def read(results: Path) -> dict[str, Any]:
    """What was recorded so far, by part; nothing where there is no file."""
    path = results / FILE
    content: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    return content


def text(everything: dict[str, Any]) -> str:
    parts = (join(TITLES[name], part(name, everything[name])) for name in TITLES if name in everything)
    judged = [(it.what, *it.cells(".2f")) for it in verdicts(everything)]
    return join(Table(("target", "wanted", "measured", ""), judged, "lrrl"), *parts)


def part(name: str, found: dict[str, Any]) -> str:
    tables = {"memory": memory, "capacity": capacity}.get(name) or (
        cost if name.startswith("cost") else starts
    )
    other = f" The other checkout is {found['against']}." if found.get("against") else ""
    return join(
        f"{Machine(**found['machine']).words()}; {found['date']}. {noise.words(found['foreign_cores'])}{other}",
        tables(found),
    )


def cost(found: dict[str, Any]) -> str:
    rows = found["rows"]
    several = len({row["server"] for row in rows}) > 1
    processes = [kind for kind in rows[0]["by process"] if any(row["by process"][kind] for row in rows)]
    stages = list(rows[0]["by stage"])
    headings = [
        "request",
        "connections",
        *(["checkout"] if several else []),
        "requests/s",
        "CPU ms",
        *processes,
    ]

    def cells(row: dict[str, Any]) -> list[str]:
        named = [row["request"], str(row["connections"]), *([row["server"]] if several else [])]
        return [*named, f"{row['requests/s']:.0f}", f"{row['CPU ms']:.2f}"]

    by_process = [[*cells(row), *(f"{row['by process'][kind]:.2f}" for kind in processes)] for row in rows]
    by_stage = [
        [*cells(row), *(f"{row['by stage'].get(stage, 0.0):.2f}" for stage in stages)] for row in rows
    ]
    ratios = [
        [row["request"], str(row["connections"]), f"{row['by other']:.2f}"] for row in rows if row["by other"]
    ]
    return join(
        f"Clips of {CLIP_SECONDS:g} s; CPU ms a request, by process:",
        Table(headings, by_process, "lrl" if several else "lr"),
        "Of a worker's main thread, by stage:" if stages else "",
        Table([*headings[: len(headings) - len(processes)], *stages], by_stage, "lrl" if several else "lr")
        if stages
        else "",
        Table(["request", "connections", "requests/s, this by other"], ratios) if ratios else "",
    )


def starts(found: dict[str, Any]) -> str:
    rows = found["rows"]

    def table(name: str, stages: tuple[str, ...]) -> Table:
        headings = ["checkout", *(f"{stage}, s" for stage in (*stages, "in all"))]
        return Table(
            headings,
            [[row["server"], *(f"{row[name][stage]:.2f}" for stage in (*stages, "in all"))] for row in rows],
        )

    memory = [
        [row["server"], f"{row['worker CPU s']:.1f}", *(f"{mb:.0f}" for mb in row["memory"].values())]
        for row in rows
    ]
    return join(
        f"{found['model']}. From `make serve` to an answer that it is ready:",
        table("start", START),
        "From a worker's death to the answer of a request that was sent at once:",
        table("restart", RESTART),
        Table(["checkout", "worker's CPU until ready, s", "resident, MB", "its own, MB"], memory),
    )


def memory(found: dict[str, Any]) -> str:
    rows = [
        [how, f"{mb['Rss']:.0f}", f"{mb['Pss']:.0f}", known(mb["Pss"] * found["workers"] / 1e3, "{:.2f}")]
        for how, mb in found["MB"].items()
    ]
    return join(
        f"{found['workers']} workers of {found['model']}:",
        Table(["started", "resident, MB each", "with shared pages divided, MB each", "in all, GB"], rows),
    )


def capacity(found: dict[str, Any]) -> str:
    rows = [
        [row["server"], f"{row['requests/s']:.1f}", ", ".join(f"{rate:.1f}" for rate in row["rounds"])]
        for row in found["rows"]
    ]
    return join(
        f"demo at {found['slo']}; clips: {found['clips']}, from the load test's mix:",
        Table(["checkout", "requests/s", "in each round"], rows),
        f"This by other: {found['by other']:.2f}, the median of the rounds." if found["by other"] else "",
    )
