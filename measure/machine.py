"""What a run ran on: a figure means nothing without its machine, versions and commit."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil
from pydantic import BaseModel, ConfigDict
from speaker_id.plan import RESTRICTIONS

from measure import ROOT

# what decides a product's speed: on x86-64, then on arm64
FLAGS = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "asimd", "sve", "sve2", "bf16", "i8mm")
LIBRARIES = ("torch", "transformers", "numpy")
# An approximation of a processor that has no AVX-512: units, caches and clock stay this one's. To be set before torch
# is imported.
AVX2 = dict(zip(RESTRICTIONS, ("AVX2", "AVX2", "avx2"), strict=True)) | {"OPENBLAS_CORETYPE": "Haswell"}
HELD = "held to AVX2"  # stands after its name
BEYOND = ("avx512", "amx")


class Machine(BaseModel):
    """Processor, versions and commit, as results have them."""

    model_config = ConfigDict(frozen=True)

    commit: str
    dirty: bool
    cpu: str
    cpu_flags: str
    cores: int
    versions: str

    def words(self, *, flags: bool = False, software: str = "") -> str:
        """For the line above a table: processor, software (that of `versions` if none is given), commit."""
        capable = f", {self.cpu_flags}" if flags else ""
        changed = " with changes on top" if self.dirty else ""
        return f"{self.cpu}, {self.cores} cores{capable}; {software or self.versions}; commit {self.commit}{changed}"


def describe(*packages: str) -> Machine:
    """This machine and checkout; `packages` are those whose versions matter beside torch and what it computes with."""
    model, flags = restricted(*processor(Path("/proc/cpuinfo").read_text()))
    return Machine(
        cpu=model,
        cpu_flags=flags,
        cores=len(os.sched_getaffinity(0)),
        versions=", ".join([versions(), *(f"{name} {installed(name)}" for name in packages)]),
        commit=git("rev-parse", "--short=12", "HEAD"),
        dirty=bool(git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!*/results/*")),
    )


def provenance(*packages: str) -> dict[str, Any]:
    """When and on what, for a JSON file."""
    return {"date": now(), "machine": describe(*packages).model_dump()}


def where(provenance: Mapping[str, Any]) -> str:
    """The day and the machine, for the line above a table."""
    return f"{provenance['date'][:10]}, {Machine.model_validate(provenance['machine']).words()}"


def now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def busy_seconds() -> float:
    """Processor time that all programs on the machine have used so far, and that its host took."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq + times.steal)


def processor(cpuinfo: str) -> tuple[str, str]:
    """Model name with family and model number, and those of its flags that matter; from /proc/cpuinfo."""
    entries: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        entries.setdefault(key.strip(), value.strip())
    present = set(entries.get("flags", entries.get("Features", "")).split())
    if "CPU part" in entries:  # arm64: numbers alone, as https://developer.arm.com lists them
        name = f"arm64 (implementer {entries.get('CPU implementer', '?')}, part {entries['CPU part']})"
    else:
        family, model = entries.get("cpu family", "?"), entries.get("model", "?")
        name = f"{entries.get('model name', 'unknown')} (family {family}, model {model})"
    return name, " ".join(flag for flag in FLAGS if flag in present)


def restrictions() -> dict[str, str]:
    """The variables of the environment that forbid some of the processor's instructions."""
    return {name: os.environ[name] for name in AVX2 if os.environ.get(name)}


def restricted(model: str, flags: str) -> tuple[str, str]:
    """Name and flags of a processor, as the environment allows it to be used."""
    found = restrictions()
    if found == AVX2:
        return f"{model} {HELD}", " ".join(flag for flag in flags.split() if not flag.startswith(BEYOND))
    return ", ".join([model, *(f"{name}={value}" for name, value in found.items())]), flags


def versions() -> str:
    """torch and what computes with it; oneDNN is part of torch's build."""
    import torch  # here, not above: it takes seconds, and the rest of this file does not need it

    onednn = re.search(r"MKL-DNN v([\d.]+)", torch.__config__.show())
    found = [f"{name} {version(name)}" for name in LIBRARIES]
    return ", ".join([*found, f"oneDNN {onednn.group(1) if onednn else 'none'}"])


def installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # Envoy's wheel is for Linux; elsewhere it is a program
        return "(not a package here)"


def git(*arguments: str) -> str:
    """Of this checkout; empty outside one."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)  # noqa: S607
    return done.stdout.strip() if done.returncode == 0 else ""
