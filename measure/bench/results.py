"""What a contest measured → rows of results/encoder.csv, growth.csv and absent.csv."""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from measure.bench.contest import EncoderContest, MeasuredEncoder, agreement, difference
from measure.bench.engines import BASE, HF_ONE, LATENCIES, Arithmetic, Contestant
from measure.bench.flops import flops
from measure.results import CsvRow, Maybe, Measurement, ratio, read

ENCODER_FILE, GROWTH_FILE, ABSENT_FILE = "encoder.csv", "growth.csv", "absent.csv"
FOLDERS = re.compile(r"""(?<![:/\w])(?:/[^\s/:'"]+)+/""")  # of absolute paths; addresses stay


class BenchmarkRow(Measurement):
    """One contestant in one run. Ratios are medians over the rounds, each against the same round's reference."""

    ratio_same_layout: Maybe  # to hf-one in the same layout with the same allocator
    ratio_best: float  # to hf-one in its best layout and allocator
    engine: str
    layout: str  # workers × threads
    allocator: str
    precision: str
    backend: str
    throughput: float  # seconds of audio a second, median over the rounds
    throughputs: str  # of each round
    latency_3s: Maybe  # seconds, median over the rounds
    latency_8s: Maybe
    latency_20s: Maybe
    peak_mb: float  # largest resident set while serving, all processes together, shared pages counted in each
    max_logit_difference: float  # to the clip-alone fp32 reference, relative to the clip's largest logit
    top1_agreement: float  # with the same
    gflops: float  # the model's work a second
    peak_gflops: float  # of one large matrix product in this precision
    peak_fraction: float
    foreign_cores: float  # cores that others than the running contestant kept busy

    @property
    def name(self) -> str:
        return f"{self.engine} {self.layout} {self.allocator}"

    @property
    def rounds(self) -> list[float]:
        return [float(value) for value in self.throughputs.split()]


class GrowthRow(CsvRow):
    """What a second of audio costs in a clip of some length."""

    name: str
    clip_seconds: float
    ms_per_audio_second: float
    run: str
    complete: bool


class AbsentRow(CsvRow):
    """Who took no part in a run, though the processor allows it, and why."""

    name: str
    reason: str
    run: str


def rows(
    contest: EncoderContest,
    config: Mapping[str, Any],
    peaks: Mapping[Arithmetic, float],
    shared: Mapping[str, Any],
) -> list[BenchmarkRow]:
    """In the order of the contest.

    Args:
        config: the model's, config.json.
        peaks: GFLOP/s of the machine, by precision.
        shared: what all rows of the run have in common, by column.
    """
    plan, base = contest.plan, contest.measured[BASE]
    audio = [plan.seconds(indices) for indices in plan.rounds]
    works = [sum(flops(config, len(plan.clips[index])) for index in indices) / 1e9 for indices in plan.rounds]

    def speeds(amounts: Sequence[float], measured: MeasuredEncoder) -> list[float]:
        return [amount / seconds for amount, seconds in zip(amounts, measured.seconds, strict=False)]

    throughputs = {it: speeds(audio, measured) for it, measured in contest.measured.items()}
    references = [it for it in throughputs if it.engine == HF_ONE]
    best = max(references, key=lambda it: statistics.median(throughputs[it]))
    made = []
    for it, measured in contest.measured.items():
        mine, same = throughputs[it], throughputs.get(Contestant(HF_ONE, it.layout, it.allocator))
        gflops, peak = statistics.median(speeds(works, measured)), peaks[it.engine.precision]
        made.append(
            BenchmarkRow(
                ratio_same_layout=round(ratio(mine, same), 3) if same else None,
                ratio_best=round(ratio(mine, throughputs[best]), 3),
                engine=it.engine.name,
                layout=str(it.layout),
                allocator=it.allocator,
                precision=it.engine.precision,
                backend=measured.backend,
                throughput=round(statistics.median(mine), 2),
                throughputs=" ".join(f"{speed:.3f}" for speed in mine),
                **latencies(measured),
                peak_mb=round(measured.peak / 2**20),
                max_logit_difference=float(f"{difference(measured.logits, base.logits):.1e}"),
                top1_agreement=round(agreement(measured.logits, base.logits), 4),
                gflops=round(gflops, 1),
                peak_gflops=round(peak, 1),
                peak_fraction=round(gflops / peak, 3),
                **shared,
            )
        )
    return made


def latencies(measured: MeasuredEncoder) -> dict[str, Any]:
    """The columns latency_3s, latency_8s, latency_20s."""
    found = {length: measured.latencies.get(length) for length in LATENCIES}
    return {
        f"latency_{it:g}s": round(statistics.median(each), 4) if each else None for it, each in found.items()
    }


def growth_rows(contest: EncoderContest, shared: Mapping[str, Any]) -> list[GrowthRow]:
    return [
        GrowthRow(
            name=str(it),
            clip_seconds=length,
            ms_per_audio_second=round(cost * 1000, 2),
            run=shared["run"],
            complete=shared["complete"],
        )
        for it, costs in contest.growth.items()
        for length, cost in costs.items()
    ]


def absent_rows(contest: EncoderContest, shared: Mapping[str, Any]) -> list[AbsentRow]:
    return [
        AbsentRow(name=str(it), reason=in_a_cell(reason), run=shared["run"])
        for it, reason in contest.absent.items()
    ]


def in_a_cell(reason: str) -> str:
    """Another program's words for a table: one line, and files by name, without the folders of this machine."""
    return " ".join(FOLDERS.sub("", reason).split())


Run = tuple[list[BenchmarkRow], list[GrowthRow]]


def runs(folder: Path) -> list[Run]:
    """The newest complete run of each processor: first those that have bf16, then by date, the newest first."""
    found: dict[str, list[BenchmarkRow]] = {}
    complete = [row for row in read(folder / ENCODER_FILE, BenchmarkRow) if row.complete]
    for row in sorted(complete, key=lambda row: row.run, reverse=True):
        mine = found.setdefault(f"{row.cpu} {row.cpu_flags} {row.cores}", [])
        if not mine or mine[0].run == row.run:
            mine.append(row)
    growth = read(folder / GROWTH_FILE, GrowthRow)
    in_order = sorted(found.values(), key=has_bf16, reverse=True)
    return [(rows, [each for each in growth if each.run == rows[0].run]) for rows in in_order]


def has_bf16(rows: Sequence[BenchmarkRow]) -> bool:
    return any(row.precision == "bf16" for row in rows)


def newest_run(folder: Path) -> Run:
    """The one that the pages quote: of a processor with bf16, if there is one; nothing where there is no run."""
    return next(iter(runs(folder)), ([], []))
