"""A run → report.json, and report.html with everything in it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from measure.loadtest import plots
from measure.loadtest.drive import Record
from measure.loadtest.run import PACKAGES
from measure.loadtest.slo import Slo
from measure.loadtest.summary import LAG_LIMIT, Summary, seconds
from measure.machine import provenance
from measure.noise import warning
from measure.results import save_json

TEMPLATE = Path(__file__).with_name("report.html.j2")
PARTS = ("queue_ms", "decode_ms", "inference_ms", "batch_size")


@dataclass(frozen=True)
class Run:
    """One finished run.

    Attributes:
        settings: what was asked for, by name.
        records: all of them, the warm-up's included.
        end, warmup: seconds.
        result: of the records after the warm-up.
        server: means of the server's own counters in ms, where they can be read.
        foreign_cores: that other programs kept busy, where that is known.
    """

    settings: dict[str, Any]
    records: Sequence[Record]
    end: float
    warmup: float
    result: Summary
    slo: Slo | None
    server: dict[str, float]
    foreign_cores: float | None = None

    @property
    def breaches(self) -> list[str]:
        return self.result.breaches(self.slo) if self.slo else []

    @property
    def parts(self) -> dict[str, float]:
        """Means over the answered requests of what their headers say; empty where they say nothing."""
        answered = [record for record in self.records if record.scheduled >= self.warmup and not record.error]
        known = {
            part: [it for record in answered if (it := getattr(record, part)) is not None] for part in PARTS
        }
        return {part: statistics.fmean(values) for part, values in known.items() if values}

    @property
    def verdict(self) -> str:
        """The result in one line."""
        if not self.result.valid:
            return (
                f"INVALID: the load generator itself was late by {seconds(self.result.lag)} (p99, "
                f"{seconds(LAG_LIMIT)} is allowed): give it a processor of its own, or lower the rate"
            )
        if self.slo is None:
            return f"p99 {seconds(self.result.p99)} at {self.result.offered:.3g} requests/s"
        return f"SLO {self.slo} " + (f"not met: {'; '.join(self.breaches)}" if self.breaches else "met")

    def rows(self) -> list[tuple[str, str]]:
        """What the terminal and the page show, in order."""
        result, parts = self.result, self.parts
        low, high = result.interval(0.99)
        errors = ", ".join(f"{count} {code}" for code, count in sorted(result.errors.items()))
        rows = [
            ("requests", f"{result.requests} in {result.seconds:.0f} s, after {self.warmup:g} s of warm-up"),
            ("failed", f"{100 * result.error_rate:.3g} %" + (f" ({errors})" if errors else "")),
            ("offered", f"{result.offered:.2f} requests/s"),
            ("served", f"{result.served:.2f} requests/s, {result.audio_rate:.1f} s of audio a second"),
            ("p50", seconds(result.p50)),
            ("p95", seconds(result.p95)),
            ("p99", f"{seconds(result.p99)}, 95 % interval {seconds(low)} to {seconds(high)}"),
        ]
        if "queue_ms" in parts:
            worker = f"decoding {parts['decode_ms']:.0f}, inference {parts['inference_ms']:.0f}"
            rows.append(("mean ms", f"queue and transport {parts['queue_ms']:.0f}, {worker}"))
        if self.server:
            worker = f"{self.server['inference']:.0f} in the worker"
            rows.append(("model server's mean ms", f"{self.server['queue']:.0f} in the queue, {worker}"))
        if "batch_size" in parts:
            rows.append(("mean batch", f"{parts['batch_size']:.1f} requests"))
        rows.append(("generator's lag", f"{seconds(result.lag)} (p99)"))
        if self.foreign_cores is not None and (text := warning(self.foreign_cores)):
            rows.append(("not quiet", text))
        return rows


def write(run: Run, folder: Path) -> tuple[Path, Path]:
    """Writes report.html and report.json into the folder; gives their paths."""
    machine = provenance(*PACKAGES)
    content = {
        **machine,
        "settings": run.settings,
        "result": run.result.to_json(),
        "mean": {part: round(value, 2) for part, value in run.parts.items()},
        "server_mean_ms": {name: round(value, 2) for name, value in run.server.items()},
        "foreign_cores": None if run.foreign_cores is None else round(run.foreign_cores, 3),
        "slo": str(run.slo) if run.slo else None,
        "breaches": run.breaches,
    }
    shown = plots.run_plots(run.records, run.end, run.warmup, run.slo)
    environment = Environment(
        loader=FileSystemLoader(TEMPLATE.parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    page = environment.get_template(TEMPLATE.name).render(run=run, machine=machine, plots=shown)
    data, html = save_json(content, folder / "report.json"), folder / "report.html"
    html.write_text(page, "utf-8")
    return html, data
