"""Which plan of kernels serves: the settings', else one that was measured here before, else one that is measured now.

A measured plan is kept in a file, beside the archive if that is possible, for this processor, these libraries and
the model's shapes. Of several workers that start at once one measures, and the others wait for its file. Where no file
can be written every worker measures its own: plans differ in speed, and in the last digits of an answer.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from speaker_id.encoder.packed import tuning
from speaker_id.encoder.packed.probe import DTYPES, Precision, precisions, usable
from speaker_id.plan import AUTO, RESTRICTIONS, Plan

WAIT_SECONDS = 20.0  # for another worker's measurement, which takes a few
CPUINFO = Path("/proc/cpuinfo")
# what identifies a processor there: of x86-64, then of arm64; the rest differs from core to core, or with the clock
IDENTITY = (
    *("vendor_id", "cpu family", "model", "model name", "stepping", "cache size", "flags"),
    *("CPU implementer", "CPU architecture", "CPU variant", "CPU part", "Features"),
)

logger = logging.getLogger(__name__)


def plan(kernels: str, config: Any, precision: Precision, device: str, folder: Path | None) -> Plan:
    """Return the plan that serves a model.

    Args:
        kernels: of the settings: "auto", or a plan's text.
        config: the model's.
        precision: of the encoder.
        device: of the encoder; a GPU has no plan.
        folder: where plans are kept, which need not exist; None keeps none.
    """
    if kernels != AUTO:
        logger.info("kernels of the settings: %s", kernels)
        return Plan.parse(kernels)
    if device != "cpu" or precision not in precisions(torch.device(device)):
        return Plan()  # which is not used: the encoder refuses a precision that would be emulated
    facts = identity(config, precision)
    if folder is None:
        return measure(config, precision)
    file = folder / f"{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]}.json"
    found = read(file)
    if found is None:
        with alone(folder):
            found = read(file) or keep(file, measure(config, precision), facts)
    return found


def measure(config: Any, precision: Precision) -> Plan:
    dtype, began = DTYPES[precision], time.monotonic()
    kinds = usable(dtype)
    if Plan().kind not in kinds:
        return Plan()  # the encoder falls back to the portable back end, and says why
    found = tuning.measure(config, dtype, torch.get_num_threads(), kinds)
    logger.info("kernels measured in %.1f s: %s", time.monotonic() - began, found)
    return found


def identity(config: Any, precision: Precision) -> dict[str, Any]:
    """Return all that a plan depends on."""
    return {
        "processor": processor(),
        "libraries": torch.__config__.show(),
        "restrictions": {name: os.environ.get(name, "") for name in RESTRICTIONS},
        "threads": torch.get_num_threads(),
        "precision": precision,
        "products": [asdict(each) for each in tuning.products(config)],
    }


def processor() -> dict[str, str]:
    """Return what identifies the processor, of its first core."""
    try:
        first = CPUINFO.read_text("utf-8").split("\n\n")[0]
    except OSError:
        return {"machine": platform.machine(), "processor": platform.processor()}
    entries = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in entries if name.strip() in IDENTITY}


def read(file: Path) -> Plan | None:
    """Return a kept plan; None where there is none, or none that can be read."""
    try:
        found = Plan.parse(json.loads(file.read_text("utf-8"))["plan"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        logger.warning("kernels are measured again: %s cannot be read (%s)", file, exc)
        return None
    logger.info("kernels as measured before (%s): %s", file, found)
    return found


def keep(file: Path, found: Plan, facts: dict[str, Any]) -> Plan:
    """Write a plan for the next start, whole or not at all, and return it."""
    try:
        with tempfile.TemporaryDirectory(dir=file.parent) as folder:
            made = Path(folder, file.name)
            made.write_text(json.dumps({"plan": str(found), **facts}, indent=1), "utf-8")
            made.replace(file)
    except OSError as exc:
        logger.info("the measured kernels are not kept: %s", exc)
    return found


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """For the block, no other worker measures; not where the folder cannot hold a lock, or one is held for long."""
    try:
        folder.mkdir(exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError:
        yield
        return
    with lock:
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.05)
            except OSError:
                break
        yield
