"""Measurements → rows of results/contenders.csv and steps.csv; rows of overhead.csv and cost.csv."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from measure.compare.contenders import Contender
from measure.compare.contest import MeasuredServer, ServerContest
from measure.compare.steps import RateStep, broken, held
from measure.results import CsvRow, Maybe, Measurement, newest, read

CONTENDERS_FILE, STEPS_FILE = "contenders.csv", "steps.csv"
OVERHEAD_FILE, COST_FILE = "overhead.csv", "cost.csv"


class ContenderRow(Measurement):
    """One contender in one run; what was not measured is empty, and `absent` says why nothing was.

    A run is complete with the full-size work, and with all that the targets are about measured at saturation.
    """

    name: str
    batch: int
    layout: str  # workers × threads
    precision: str
    throughput: Maybe  # seconds of audio a second at saturation, median over the rounds
    throughputs: str  # of each round that it took part in, from the first on
    capacity: Maybe  # requests a second: the highest rate tried that met the bound
    breaks_at: Maybe  # the lowest rate tried that did not
    answers: int
    errors: int
    changed: int  # answers whose best label is not that of the clip alone
    score_drift: Maybe  # largest difference of a best label's score from the clip's own
    right: bool  # answers as the clip alone does: no label changed, no burst's request failed, scores within 0.01
    peak_mb: Maybe  # largest resident set, all processes together, shared pages counted in each
    absent: str
    software: str  # the peer's own versions
    bound: float  # s, of the 99th percentile
    step_seconds: float
    foreign_cores: float  # cores that others than the server and its load kept busy

    @property
    def rounds(self) -> list[float]:
        return [float(value) for value in self.throughputs.split()]


class StepRow(CsvRow):
    """One contender under open arrivals at one rate."""

    name: str
    share: Maybe  # of our capacity in fp32; empty where the step looked for the contender's own
    rate: float  # requests a second
    requests: int
    errors: int
    p50: float  # s from the scheduled arrival; inf where that many failed
    p95: float
    p99: float
    changed: int
    met: bool
    whole: bool
    run: str


class OverheadRow(Measurement):
    """One server and precision in one run. Differences and ratios are of neighbours in time; then the median."""

    server: str
    precision: str
    served: float  # seconds of audio a second, over HTTP, every clip at once; median over the rounds
    bare: float
    kept: float  # served by bare
    keeps: str  # of each round
    lone_served: float  # s, of a lone clip of 3 s over HTTP; median
    lone_grpc: Maybe  # the same over gRPC
    lone_inference: Maybe  # s that the encoder took of lone_served, by Server-Timing
    lone_bare: float
    lone_added: float
    grpc_added: Maybe
    lone_clips: int


class CostRow(Measurement):
    """One model server and one way to ask it, around an encoder that does nothing; medians over the rounds."""

    server: str
    way: str
    rate: float  # requests a second of 16 callers
    lone_ms: float  # of one caller
    cpu_ms: float  # a request, all processes of the server together
    gateway_ms: float
    server_ms: float  # TorchServe's Java, or tritonserver
    worker_ms: float
    decoders_ms: float
    foreign_cores: float  # cores that others than the servers and their callers kept busy


def rows(
    contest: ServerContest, software: Mapping[str, str], shared: Mapping[str, Any]
) -> list[ContenderRow]:
    """A row for each that was to take part.

    Args:
        software: versions, by peer.
        shared: what all rows of the run have in common, by column.
    """
    reference = contest.load.reference
    made = []
    for contender in contest.entrants:
        mine = contest.measured.get(contender, MeasuredServer())
        of_bursts = sum(len(it.answers) for it in mine.bursts)
        of_steps = sum(step.summary.requests - sum(step.summary.errors.values()) for step in mine.steps)
        made.append(
            ContenderRow(
                name=contender.name,
                batch=contender.batch,
                layout=str(contender.layout),
                precision=contender.precision,
                throughput=round(mine.throughput, 3) if mine.bursts else None,
                throughputs=" ".join(f"{each.throughput:.3f}" for each in mine.bursts),
                capacity=rounded(held(mine.ladder)),
                breaks_at=rounded(broken(mine.ladder)),
                answers=of_bursts + of_steps,
                errors=mine.errors(),
                changed=mine.changed(reference),
                score_drift=round(mine.drift(reference), 5) if mine.bursts else None,
                right=bool(mine.bursts) and mine.right(reference),
                peak_mb=round(mine.peak / 2**20) if mine.peak else None,
                absent=contest.absent.get(contender, ""),
                software=software.get(contender.peer or "", ""),
                bound=contest.load.bound,
                step_seconds=contest.load.seconds,
                foreign_cores=round(contest.foreign / max(contest.wall, 1e-9), 3),
                **shared,
            )
        )
    return made


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def step_rows(contest: ServerContest, date: str) -> list[StepRow]:
    return [
        step_row(contender, share, step, date)
        for contender, mine in contest.measured.items()
        for share, step in [(None, step) for step in mine.ladder] + list(mine.loads.items())
        if step is not None
    ]


def step_row(contender: Contender, share: float | None, step: RateStep, date: str) -> StepRow:
    return StepRow(
        name=contender.name,
        share=share,
        rate=round(step.rate, 4),
        requests=step.summary.requests,
        errors=sum(step.summary.errors.values()),
        p50=round(step.summary.p50, 3),
        p95=round(step.summary.p95, 3),
        p99=round(step.summary.p99, 3),
        changed=step.changed,
        met=step.met,
        whole=step.whole,
        run=date,
    )


def newest_run(folder: Path) -> tuple[list[ContenderRow], list[StepRow]]:
    """Of the newest complete run; nothing where there is no such run."""
    found = newest(folder / CONTENDERS_FILE, ContenderRow)
    return found, [row for row in read(folder / STEPS_FILE, StepRow) if found and row.run == found[0].run]
