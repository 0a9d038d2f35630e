"""What workers of small models share: each started by itself, and forked from one process that has imported all."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from measure import ROOT

SEPARATE, FORKED = "separate", "forked"
# an unpacked archive, how, how many; prints a line for each worker that is ready, and ends with its input
PROGRAM = "measure.bench.overhead.shared"


def measure(archive: Path, workers: int) -> dict[str, dict[str, float]]:
    """MB a worker, by way to start it: resident, and its proportional share of what several map."""
    with tempfile.TemporaryDirectory(prefix="shared-") as folder:
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(folder)
        return {how: started(Path(folder), how, workers) for how in (SEPARATE, FORKED)}


def started(folder: Path, how: str, workers: int) -> dict[str, float]:
    """Start so many workers, wait until all are ready, and read their memory."""
    command = [sys.executable, "-m", PROGRAM, str(folder)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(["handler", str(ROOT)])}
    counts = [1] * workers if how == SEPARATE else [workers]
    parents = [
        subprocess.Popen(
            [*command, how, str(count)],
            cwd=ROOT,
            env=environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for count in counts
    ]
    try:
        pids = [
            int(parent.stdout.readline())
            for parent, count in zip(parents, counts, strict=True)
            for _ in range(count)
            if parent.stdout
        ]
        found = [rollup(pid) for pid in pids]
        return {name: statistics.mean(each[name] for each in found) for name in ("Rss", "Pss")}
    finally:
        for parent in parents:
            parent.communicate("\n")


def rollup(pid: int) -> dict[str, float]:
    """A process's memory in MB, by the kernel's names."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {name: int(value.split()[0]) / 1e3 for name, value in (line.split(":") for line in lines)}


def worker(folder: Path) -> Any:
    """An unpacked archive's worker, loaded and warmed up as TorchServe does."""
    import yaml
    from speaker_handler import SpeakerHandler
    from ts.context import Context

    config = yaml.safe_load((folder / "model-config.yaml").read_text("utf-8"))
    handler, manifest = SpeakerHandler(), {"model": {"modelVersion": "1.0"}}
    handler.initialize(Context("model", str(folder), manifest, 1, None, "", model_yaml_config=config))
    return handler


def in_forks(work: Callable[[], Any], count: int) -> list[int]:
    """Do it in so many forks of this process, one after the other; each then waits for a signal."""
    pids = []
    for _ in range(count):
        reading, writing = os.pipe()
        if (pid := os.fork()) == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            held = work()
            os.write(writing, b"1")
            signal.pause()
            os._exit(held is None)
        os.close(writing)
        os.read(reading, 1)
        os.close(reading)
        pids.append(pid)
    return pids


def main(arguments: Sequence[str]) -> None:
    folder, how, count = arguments
    if how == SEPARATE:
        import ts.model_service_worker

        held = worker(Path(folder))
        print(os.getpid(), flush=True)
        sys.stdin.readline()
        del held
        return
    import ts.model_service_worker  # noqa: F401

    pids = in_forks(lambda: worker(Path(folder)), int(count))
    for pid in pids:
        print(pid, flush=True)
    sys.stdin.readline()
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main(sys.argv[1:])
