"""Measurements → rows of results/contenders.csv and results/steps.csv, and back."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, field_validator

from measure.compare.contenders import Contender
from measure.compare.contest import Contest, Measured
from measure.compare.steps import Step, broken, held
from measure.machine import Machine
from measure.results import read

CONTENDERS_FILE, STEPS_FILE, OVERHEAD_FILE = "contenders.csv", "steps.csv", "overhead.csv"


class Row(BaseModel):
    """One contender in one run; what was not measured is empty, and `absent` says why nothing was."""

    model_config = ConfigDict(frozen=True)

    name: str
    batch: int
    layout: str  # workers × threads
    precision: str
    throughput: float | None  # seconds of audio a second at saturation, median over the rounds
    throughputs: str  # of each round that it took part in, from the first on
    capacity: float | None  # requests a second: the highest rate tried that met the bound
    breaks_at: float | None  # the lowest rate tried that did not
    answers: int
    errors: int
    changed: int  # answers whose best label is not that of the clip alone
    score_drift: float | None  # largest difference of a best label's score from the clip's own
    right: bool  # answers as the clip alone does: no label changed, no burst's request failed, scores within 0.01
    peak_mb: float | None  # largest resident set, all processes together, shared pages counted in each
    absent: str
    software: str  # the peer's own versions
    bound: float  # s, of the 99th percentile
    step_seconds: float
    model: str
    clips: str
    run: str  # when it began, UTC
    complete: bool  # the full-size work, and at saturation everybody whom the targets are about
    commit: str
    dirty: bool
    cpu: str
    cpu_flags: str
    cores: int
    foreign_cores: float  # cores that anything but the server and its load kept busy meanwhile
    versions: str

    @field_validator("throughput", "capacity", "breaks_at", "score_drift", "peak_mb", mode="before")
    @classmethod
    def _empty(cls, value: object) -> object:
        return None if value == "" else value

    @property
    def rounds(self) -> list[float]:
        return [float(value) for value in self.throughputs.split()]


class StepRow(BaseModel):
    """One contender under open arrivals at one rate."""

    model_config = ConfigDict(frozen=True)

    name: str
    share: float | None  # of our capacity in fp32; empty where the step looked for the contender's own
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

    @field_validator("share", mode="before")
    @classmethod
    def _empty(cls, value: object) -> object:
        return None if value == "" else value


@dataclasses.dataclass(frozen=True)
class Run:
    """What all rows of a run share."""

    date: str
    complete: bool
    model: str
    clips: str
    machine: Machine
    software: dict[str, str]  # by peer


def rows(contest: Contest, run: Run) -> list[Row]:
    wall = max(contest.wall, 1e-9)
    shared = {
        "bound": contest.load.bound,
        "step_seconds": contest.load.seconds,
        "model": run.model,
        "clips": run.clips,
        "run": run.date,
        "complete": run.complete,
        "foreign_cores": round(contest.foreign / wall, 3),
        **dataclasses.asdict(run.machine),
    }
    made = []
    for contender in contest.entrants:
        mine = contest.measured.get(contender, Measured())
        reference = contest.load.reference
        answers = sum(len(it.answers) for it in mine.bursts) + sum(
            step.summary.requests - sum(step.summary.errors.values()) for step in mine.steps
        )
        made.append(
            Row(
                name=contender.name,
                batch=contender.batch,
                layout=str(contender.layout),
                precision=contender.precision,
                throughput=round(mine.throughput, 3) if mine.bursts else None,
                throughputs=" ".join(f"{each.throughput:.3f}" for each in mine.bursts),
                capacity=rounded(held(mine.ladder)),
                breaks_at=rounded(broken(mine.ladder)),
                answers=answers,
                errors=mine.errors(),
                changed=mine.changed(reference),
                score_drift=round(mine.drift(reference), 5) if mine.bursts else None,
                right=bool(mine.bursts) and mine.right(reference),
                peak_mb=round(mine.peak / 2**20) if mine.peak else None,
                absent=contest.absent.get(contender, ""),
                software=run.software.get(contender.peer or "", ""),
                **shared,
            )
        )
    return made


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def step_rows(contest: Contest, run: Run) -> list[StepRow]:
    return [
        row(contender, share, step, run.date)
        for contender, mine in contest.measured.items()
        for share, step in [(None, step) for step in mine.ladder] + list(mine.loads.items())
        if step is not None
    ]


def row(contender: Contender, share: float | None, step: Step, date: str) -> StepRow:
    latencies = {name: getattr(step.summary, name) for name in ("p50", "p95", "p99")}
    return StepRow(
        name=contender.name,
        share=share,
        rate=round(step.rate, 4),
        requests=step.summary.requests,
        errors=sum(step.summary.errors.values()),
        **{name: round(value, 3) if math.isfinite(value) else value for name, value in latencies.items()},
        changed=step.changed,
        met=step.met,
        whole=step.whole,
        run=date,
    )


def newest(folder: Path) -> tuple[list[Row], list[StepRow]]:
    """Rows of the newest complete run; none where there is no such run."""
    if not (folder / CONTENDERS_FILE).is_file():
        return [], []
    found = [row for row in read(folder / CONTENDERS_FILE, Row) if row.complete]
    date = max((row.run for row in found), default="")
    steps = read(folder / STEPS_FILE, StepRow) if (folder / STEPS_FILE).is_file() else []
    return [row for row in found if row.run == date], [step for step in steps if step.run == date]


def by_name(rows: Sequence[Row]) -> dict[str, Row]:
    return {row.name: row for row in rows}
