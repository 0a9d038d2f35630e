"""How long a batch takes, fitted on batches of the real server, and everything else of a replica that was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict
from scipy.optimize import least_squares

from measure import MeasureError
from measure.autoscale import RESULTS
from measure.autoscale.batches import Batch
from measure.autoscale.queueing import Timing
from measure.results import load_json, save_json

FEWEST = 20  # batches that a fit needs
NOISE_QUANTILES = 99
NOISE_RANGE = (0.01, 0.99)  # the extremes are disturbances, or answers of two batches taken for one
LEAST_SECONDS = 1e-9  # of a term, so that a logarithm can be taken
TYPICAL = 0.05  # of the logarithm's deviation, beyond which it counts linearly


class Service(BaseModel):
    """One replica.

    Attributes:
        model: what it serves.
        batch, delay, queue, workers: batchSize, maxBatchDelay in seconds, job_queue_size, workers.
        fixed, per_request, per_second: seconds of a batch, of each request in it, of a second of audio.
        overhead: seconds of a request's way to the worker and back.
        noise: quantiles of observed by fitted seconds, from the 1st to the 99th percent, ascending.
        startup: seconds from the process's start until the server is ready.
        cpu: processor cores that a busy worker uses, the gateway's and Java's with them.
        cores: of the machine.
        batches, error: how many batches were fitted, and the median of |observed / fitted - 1|.
    """

    model_config = ConfigDict(frozen=True)

    model: str
    batch: int
    delay: float
    queue: int
    workers: int
    fixed: float
    per_request: float
    per_second: float
    overhead: float
    noise: tuple[float, ...]
    startup: float
    cpu: float
    cores: int
    batches: int
    error: float

    @property
    def timing(self) -> Timing:
        return Timing(*(getattr(self, name) for name in Timing._fields))

    def draw(self, rng: np.random.Generator, count: int) -> npt.NDArray[np.float64]:
        """(count,) factors for batches: the measured quantiles, with straight lines between them."""
        places = rng.random(count) * (len(self.noise) - 1)
        drawn: npt.NDArray[np.float64] = np.interp(places, np.arange(len(self.noise)), self.noise)
        return drawn


def fit(batches: Sequence[Batch], delay: float, size: int) -> dict[str, Any]:
    """The fields of `Service` that follow from batches.

    Least soft absolute deviations of the logarithms, none of the terms negative: a batch that other programs slowed
    down counts little, and a long batch no more than a short one.

    Args:
        delay: seconds that a worker waits for a batch to fill; taken off batches that did not.
        size: requests of a full batch.

    Raises:
        MeasureError: too few batches.
    """
    took = np.array([it.seconds - (delay if len(it.clips) < size else 0.0) for it in batches])
    rows = np.array([(1.0, len(it.clips), sum(it.clips), not it.waited_for) for it in batches], np.float64)
    took, rows = took[took > 0], rows[took > 0]
    if len(took) < FEWEST:
        raise MeasureError(f"{len(took)} whole batches were seen, and a fit needs {FEWEST}: measure longer")

    def deviations(terms: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        found: npt.NDArray[np.float64] = np.log(took / (rows @ terms))
        return found

    guess = np.ones(4) * np.median(took / rows.sum(axis=1))
    solved = least_squares(
        deviations, guess, bounds=(LEAST_SECONDS, np.inf), x_scale=guess, loss="soft_l1", f_scale=TYPICAL
    )
    ratio = np.exp(deviations(solved.x))
    noise = np.quantile(ratio, np.linspace(*NOISE_RANGE, NOISE_QUANTILES))
    return {
        **dict(zip(("fixed", "per_request", "per_second", "overhead"), solved.x.tolist(), strict=True)),
        "noise": tuple(np.round(noise, 4).tolist()),
        "batches": len(ratio),
        "error": float(np.median(np.abs(ratio - 1.0))),
    }


def path(model: str, folder: Path = RESULTS) -> Path:
    return folder / f"service-{model}.json"


def write(service: Service, provenance: Mapping[str, Any], folder: Path = RESULTS) -> None:
    save_json({**provenance, "service": service.model_dump()}, path(service.model, folder))


def read(model: str, folder: Path = RESULTS) -> tuple[Service, dict[str, Any]]:
    """The measured replica, and what it was measured on.

    Raises:
        MeasureError: it has not been measured.
    """
    content = load_json(path(model, folder), f"python -m measure.autoscale.measure --model {model}")
    return Service.model_validate(content.pop("service")), content
