"""What a run ran on: a number without its machine, its versions and its commit is worth nothing."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import psutil

from measure import ROOT

# what decides a product's speed: on x86-64, then on arm64
FLAGS = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "asimd", "sve", "sve2", "bf16", "i8mm")
QUIET = 0.5  # load average for each core, above which results are doubtful
LIBRARIES = ("torch", "transformers", "numpy")


@dataclass(frozen=True)
class Machine:
    """Processor, versions and commit, as the CSV has them."""

    cpu: str
    cpu_flags: str
    cores: int
    versions: str
    commit: str
    dirty: bool


def describe() -> Machine:
    model, flags = processor(Path("/proc/cpuinfo").read_text())
    return Machine(
        cpu=model,
        cpu_flags=flags,
        cores=len(os.sched_getaffinity(0)),
        versions=versions(),
        commit=git("rev-parse", "--short=12", "HEAD"),
        dirty=bool(git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!*/results/*")),
    )


def busy_seconds() -> float:
    """Processor time that everything on the machine has used so far, and what its host took from it."""
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


def versions() -> str:
    """torch and what computes with it; oneDNN is part of torch's build."""
    import torch  # here, not above: the rest of this file needs none, and it takes seconds

    onednn = re.search(r"MKL-DNN v([\d.]+)", torch.__config__.show())
    found = [f"{name} {version(name)}" for name in LIBRARIES]
    return ", ".join([*found, f"oneDNN {onednn.group(1) if onednn else 'none'}"])


def git(*arguments: str) -> str:
    """Of this checkout; empty outside one."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)  # noqa: S607
    return done.stdout.strip() if done.returncode == 0 else ""
