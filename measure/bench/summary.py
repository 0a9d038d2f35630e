"""What a contest measured, together with its machine → rows."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping
from typing import Any

from measure.bench.contest import Contest, Measured, agreement, difference
from measure.bench.engines import BASE, HF_ONE, Contestant
from measure.bench.flops import flops
from measure.machine import Machine
from measure.results import LATENCIES, GrowthRow, Row, ratio


@dataclasses.dataclass(frozen=True)
class Run:
    """What all rows of a run share."""

    date: str
    complete: bool
    model: str
    clips: str
    machine: Machine
    peaks: Mapping[str, float]  # GFLOP/s by precision
    foreign_cores: float


def rows(contest: Contest, config: Mapping[str, Any], run: Run) -> list[Row]:
    """In the order of the contest.

    Args:
        config: the model's, config.json.
    """
    audio = [contest.plan.seconds(indices) for indices in contest.plan.rounds]
    works = [
        sum(flops(config, len(contest.plan.clips[index])) for index in indices) / 1e9
        for indices in contest.plan.rounds
    ]
    speeds = {
        it: [amount / seconds for amount, seconds in zip(audio, measured.seconds, strict=False)]
        for it, measured in contest.measured.items()
    }
    references = [it for it in speeds if it.engine == HF_ONE]
    best = max(references, key=lambda it: statistics.median(speeds[it]))
    made = []
    for it, measured in contest.measured.items():
        twin = Contestant(HF_ONE, it.layout, it.allocator)
        gflops = statistics.median(
            amount / seconds for amount, seconds in zip(works, measured.seconds, strict=False)
        )
        made.append(
            Row(
                ratio_same_layout=round(ratio(speeds[it], speeds[twin]), 3) if twin in speeds else None,
                ratio_best=round(ratio(speeds[it], speeds[best]), 3),
                engine=it.engine.name,
                layout=str(it.layout),
                allocator=it.allocator,
                precision=it.engine.precision,
                backend=measured.backend,
                throughput=round(statistics.median(speeds[it]), 2),
                throughputs=" ".join(f"{speed:.3f}" for speed in speeds[it]),
                **latencies(measured),
                peak_mb=round(measured.peak / 2**20),
                max_logit_difference=float(
                    f"{difference(measured.logits, contest.measured[BASE].logits):.1e}"
                ),
                top1_agreement=round(agreement(measured.logits, contest.measured[BASE].logits), 4),
                gflops=round(gflops, 1),
                peak_gflops=round(run.peaks[it.engine.precision], 1),
                peak_fraction=round(gflops / run.peaks[it.engine.precision], 3),
                model=run.model,
                clips=run.clips,
                run=run.date,
                complete=run.complete,
                foreign_cores=round(run.foreign_cores, 3),
                **dataclasses.asdict(run.machine),
            )
        )
    return made


def latencies(measured: Measured) -> dict[str, Any]:
    """The columns latency_3s, latency_8s, latency_20s."""
    return {
        f"latency_{length:g}s": round(statistics.median(measured.latencies[length]), 4)
        if length in measured.latencies
        else None
        for length in LATENCIES
    }


def growth_rows(contest: Contest, run: Run) -> list[GrowthRow]:
    return [
        GrowthRow(
            name=str(it),
            clip_seconds=length,
            ms_per_audio_second=round(cost * 1000, 2),
            run=run.date,
            complete=run.complete,
        )
        for it, costs in contest.growth.items()
        for length, cost in costs.items()
    ]
