"""Measurements → rows of results/encoder.csv and results/growth.csv, and back."""

from __future__ import annotations

import csv
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, field_validator

ENCODER_FILE, GROWTH_FILE = "encoder.csv", "growth.csv"
LATENCIES = (3.0, 8.0, 20.0)  # s, lengths of a lone clip

Record = TypeVar("Record", bound=BaseModel)


class Row(BaseModel):
    """One contestant in one run. Ratios are medians over the rounds, each against the same round's reference."""

    model_config = ConfigDict(frozen=True)

    ratio_same_layout: float | None  # to hf-one in the same layout with the same allocator
    ratio_best: float  # to hf-one in its best layout and allocator
    engine: str
    layout: str  # workers × threads
    allocator: str
    precision: str
    backend: str
    throughput: float  # seconds of audio a second, median over the rounds
    throughputs: str  # of each round
    latency_3s: float | None  # seconds, median over the rounds
    latency_8s: float | None
    latency_20s: float | None
    peak_mb: float  # largest resident set while serving, all processes together, shared pages counted in each
    max_logit_difference: float  # to the clip-alone fp32 reference, relative to the clip's largest logit
    top1_agreement: float  # with the same
    gflops: float  # the model's work a second
    peak_gflops: float  # of one large matrix product in this precision
    peak_fraction: float
    model: str
    clips: str
    run: str  # when it began, UTC
    complete: bool  # every default contestant, the whole work
    commit: str
    dirty: bool
    cpu: str
    cpu_flags: str
    cores: int
    foreign_cores: float  # cores that anything but the contestant of the moment kept busy while it ran
    versions: str

    @field_validator("ratio_same_layout", "latency_3s", "latency_8s", "latency_20s", mode="before")
    @classmethod
    def _empty(cls, value: object) -> object:
        return None if value == "" else value

    @property
    def name(self) -> str:
        return f"{self.engine} {self.layout} {self.allocator}"

    @property
    def rounds(self) -> list[float]:
        return [float(value) for value in self.throughputs.split()]


class GrowthRow(BaseModel):
    """What a second of audio costs in a clip of some length."""

    model_config = ConfigDict(frozen=True)

    name: str
    clip_seconds: float
    ms_per_audio_second: float
    run: str
    complete: bool


def ratio(one: Sequence[float], other: Sequence[float]) -> float:
    """Median of one's throughput by the other's over the rounds that both took part in, from the first on."""
    return statistics.median(mine / theirs for mine, theirs in zip(one, other, strict=False))


def append(path: Path, records: Iterable[BaseModel]) -> None:
    """Adds rows to a CSV; one written with other columns is refused, not mixed up.

    Raises:
        ValueError: names the file.
    """
    rows = [record.model_dump() for record in records]
    if not rows:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    if not new:
        with path.open(newline="", encoding="utf-8") as file:
            if next(csv.reader(file), []) != list(rows[0]):
                raise ValueError(f"{path} has other columns than this version writes: move it away")
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(rows)


def read(path: Path, kind: type[Record]) -> list[Record]:
    with path.open(newline="", encoding="utf-8") as file:
        return [kind.model_validate(row) for row in csv.DictReader(file)]


def newest(folder: Path) -> tuple[list[Row], list[GrowthRow]]:
    """Rows of the newest complete run; none where there is no such run."""
    if not (folder / ENCODER_FILE).is_file():
        return [], []
    rows = [row for row in read(folder / ENCODER_FILE, Row) if row.complete]
    run = max((row.run for row in rows), default="")
    growth = [row for row in read(folder / GROWTH_FILE, GrowthRow) if row.run == run]
    return [row for row in rows if row.run == run], growth
