"""A day's traffic: a profile of rates by minute, and seeded arrivals and clip lengths drawn from it."""

from __future__ import annotations

import csv
import functools
import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

from measure import MeasureError, workload
from measure.autoscale import PROFILE

Floats = npt.NDArray[np.float64]

MINUTE, DAY_MINUTES = 60.0, 24 * 60
LONGEST = 120.0  # s, max_clip_seconds: longer clips are rejected before they are queued
POOL = 200_000  # clip lengths that are drawn from
BASE, SWING, NOON = 0.12, 0.58, 14.5  # of the peak: at night, and added at NOON o'clock
LUNCH_DIP = 0.08
WANDER, MEMORY = 0.05, 0.97  # deviation of the slow random walk's logarithm, and its memory a minute
BURSTS = (  # minute of the day, minutes, added rate, minutes of growth: what a smooth day never asks of an autoscaler
    (3 * 60 + 20, 12, 0.25, 1),  # a nightly job, eight times the night's rate
    (9 * 60, 25, 0.35, 2),  # work begins at nine
    (11 * 60 + 37, 4, 0.40, 1),  # a spike of four minutes
    (16 * 60 + 10, 45, 0.25, 10),  # a campaign that grows slowly
    (20 * 60 + 5, 15, 0.45, 1),  # the evening's, from a falling rate
)


def make_profile(seed: int = 0) -> Floats:
    """(1440,) rate of each minute relative to the peak's: a day's shape, bursts on top, and a slow random wander."""
    rng = np.random.default_rng(seed)
    minutes = np.arange(DAY_MINUTES)
    hours = minutes / 60
    bell = 0.5 + 0.5 * np.cos((hours - NOON) * 2 * math.pi / 24)
    rate = BASE + SWING * bell**1.6 - LUNCH_DIP * np.exp(-(((hours - 12.75) / 0.5) ** 2))
    walk = np.zeros(DAY_MINUTES)
    steps = rng.normal(0.0, WANDER * math.sqrt(1 - MEMORY**2), DAY_MINUTES)
    for minute in range(1, DAY_MINUTES):
        walk[minute] = MEMORY * walk[minute - 1] + steps[minute]
    rate *= np.exp(walk)
    for start, length, height, growth in BURSTS:
        since = minutes - start
        shape = np.clip((since + 1) / growth, 0.0, 1.0) * np.clip(
            (start + length - minutes) / growth, 0.0, 1.0
        )
        rate += height * shape
    relative: Floats = np.round(rate / rate.max(), 4)
    return relative


def write_profile(rates: Floats, path: Path = PROFILE) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("minute", "rate"))
        writer.writerows((minute, f"{rate:.4f}") for minute, rate in enumerate(rates))


def read_profile(path: Path = PROFILE) -> Floats:
    """(minutes,) relative rates of a CSV with the columns minute,rate: the shipped day, or one recorded by a user.

    Raises:
        MeasureError: the file is not such a CSV; names the line.
    """
    rates: list[float] = []
    try:
        rows = list(csv.DictReader(path.read_text("utf-8").splitlines()))
    except (OSError, UnicodeDecodeError) as exc:
        raise MeasureError(f"{path} cannot be read as a profile: {exc}") from exc
    for line, row in enumerate(rows, 2):
        try:
            rates.append(float(row["rate"]))
        except (KeyError, TypeError, ValueError):
            raise MeasureError(f"{path} line {line}: no number in the column rate: {row}") from None
    found = np.array(rates)
    if not len(found) or not np.isfinite(found).all() or (found < 0).any() or not found.max() > 0:
        raise MeasureError(f"{path}: rates must be finite, none negative, and one of them above 0")
    relative: Floats = found / found.max()
    return relative


@functools.cache
def lengths() -> Floats:
    """(POOL,) clip lengths in seconds, as long as VoxCeleb1's, as the load test's and the benchmark's."""
    pool: Floats = np.minimum(workload.durations(POOL, 0), LONGEST)
    return pool


def arrivals(rng: np.random.Generator, rate: float, start: float, end: float) -> tuple[Floats, Floats]:
    """Poisson arrivals of a stretch: moments in seconds, ascending, and seconds of audio."""
    count = int(rng.poisson(rate * (end - start)))
    times = np.sort(start + (end - start) * rng.random(count))
    return times, lengths()[rng.integers(POOL, size=count)]
