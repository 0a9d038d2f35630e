"""What the worst bodies known cost: every attack through a real decoder process, its CPU time and memory measured.

python -m measure.bench.hostile [--only Ogg]     writes measure/bench/results/hostile.json and docs/results/hostile.md

CPU time and address space are the decoder's own, so that other work on the machine hardly affects them.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from speaker_id.decoders import faults, pool
from speaker_id.decoders.forking import ForkServer
from speaker_id.decoders.patience import Patience
from speaker_id.decoders.process import DecoderProcess
from speaker_id.decoders.wire import Lost
from speaker_id.errors import RequestError
from speaker_id.settings import Settings

from measure import machine
from measure.bench import RESULTS
from measure.chaos.attacks import Attack, attacks
from measure.document import Page, Table, join
from measure.machine import Machine
from measure.results import save_json
from serving.host import processes

SIZES = (1 << 20, 30 << 20)  # bytes of body: what costs are divided by, and the most that the gateway lets in
RATE, MIN_SAMPLES = 16_000, 400
PATIENCE = 300.0  # s for one body; the limit is on CPU time, this only ends what hangs
POLL_SECONDS = 0.01  # between two samples of a decoder that may end
PEAKS = re.compile(r"^Vm(Peak|HWM):\s+(\d+) kB$", re.MULTILINE)
FILE, PAGE = "hostile.json", Page.of("hostile", "measure.bench.hostile")
LIMITS = Settings.model_validate({})


@dataclass(frozen=True)
class Cost:
    """What one body cost its decoder.

    Attributes:
        size: of the body, in bytes.
        outcome: `answered`, or the code of the error.
        fault: what happened to the decoder; empty if it is well.
        cpu_seconds: CPU time of the decoder.
        address_space: bytes that it took beyond what it had idle.
        resident: bytes of memory that it took, likewise.
    """

    size: int
    outcome: str
    fault: str
    cpu_seconds: float
    address_space: int
    resident: int


class Watch:
    """What one decoder has used since it was idle, sampled until it ends, so that it is known afterwards too."""

    def __init__(self, pid: int) -> None:
        self._process, self._over = psutil.Process(pid), threading.Event()
        self._status = Path(f"/proc/{pid}/status")
        self.peaks = self._idle = self._peaks()
        self._idle_seconds = self._seconds()
        self._thread = threading.Thread(target=self._poll, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._note()
        self.cpu_seconds = self._seconds() - self._idle_seconds

    @property
    def taken(self) -> dict[str, int]:
        return {name: max(0, peak - self._idle[name]) for name, peak in self.peaks.items()}

    def _poll(self) -> None:
        while not self._over.wait(POLL_SECONDS):
            self._note()

    def _note(self) -> None:
        self.peaks = self._peaks() or self.peaks

    def _peaks(self) -> dict[str, int]:
        """Largest address space and resident set, in bytes; nothing once the process has ended."""
        return {name: int(kib) << 10 for name, kib in PEAKS.findall(self._status.read_text("ascii"))}

    def _seconds(self) -> float:
        # also of a decoder that has ended, until the fork server reaps it
        return processes.cpu_seconds(self._process)


@contextlib.contextmanager
def fork_server(max_seconds: float = LIMITS.max_clip_seconds) -> Iterator[ForkServer]:
    server = ForkServer(pool.MEMORY, 4 * (int(max_seconds * RATE) + 1))
    try:
        yield server
    finally:
        server.close()


def cost(
    body: bytes,
    server: ForkServer,
    cpu_seconds: float = LIMITS.max_decode_seconds,
    max_seconds: float = LIMITS.max_clip_seconds,
) -> Cost:
    """Have a fresh decoder decode one body."""
    process = DecoderProcess(server)
    process.start()
    assert process.pid
    request = {"sampling_rate": RATE, "max_seconds": max_seconds, "min_samples": MIN_SAMPLES}
    error: RequestError | None = None
    try:
        with Watch(process.pid) as watch:
            try:
                reply = process.ask({**request, "cpu_seconds": cpu_seconds}, body, PATIENCE)
                error = None if "samples" in reply else faults.told(reply, pool.MEMORY)
            except TimeoutError:
                error = Patience(None).late()
            except Lost:
                reply = {}
        if error is None and not reply:
            error = faults.ended(process.end(), cpu_seconds)
    finally:
        process.close()
    fault = " ".join(filter(None, error.fault)) if error and error.fault else ""
    taken = watch.taken
    return Cost(
        size=len(body),
        outcome=error.code if error else "answered",
        fault=fault,
        cpu_seconds=round(watch.cpu_seconds, 3),
        address_space=taken["Peak"],
        resident=taken["HWM"],
    )


def measure(chosen: Sequence[Attack]) -> list[dict[str, Any]]:
    found = []
    with fork_server() as server:
        for attack in chosen:
            costs: list[Cost] = []
            for size in SIZES[:1] if attack.honest else SIZES:
                body = attack.build(size)
                if not costs or len(body) != costs[-1].size:
                    costs.append(cost(body, server))
                    print(f"{attack.name}: {costs[-1]}", flush=True)
            found.append(
                {"name": attack.name, "honest": attack.honest, "costs": [vars(each) for each in costs]}
            )
    return found


def table(found: dict[str, Any]) -> str:
    """The Markdown of what `main` writes as JSON."""
    costs = [
        ("" if number else each["name"], Cost(**values))
        for each in found["attacks"]
        for number, values in enumerate(each["costs"])
    ]
    return join(
        f"{Machine(**found['machine']).words(software=found['libraries'])}. Limits: {found['cpu_seconds']:g} s of CPU "
        f"time, {found['memory'] >> 20} MiB.",
        Table(
            ("body", "size", "outcome", "CPU", "CPU a MB", "address space", "memory", "memory a MB"),
            [(name, *cells(cost)) for name, cost in costs],
            "lrl",
        ),
    )


def cells(cost: Cost) -> Iterator[str]:
    megabytes = cost.size / 1e6
    yield f"{cost.size / 1e3:.1f} kB" if cost.size < 1e5 else f"{megabytes:.1f} MB"
    outcome = f"`{cost.outcome}`" if cost.outcome != "answered" else cost.outcome
    yield outcome + (f" ({cost.fault})" if cost.fault else "")
    yield f"{cost.cpu_seconds:.2f} s"
    yield f"{short(cost.cpu_seconds / megabytes)} s"
    yield f"{cost.address_space / 1e6:.0f} MB"
    yield f"{cost.resident / 1e6:.0f} MB"
    yield f"{short(cost.resident / 1e6 / megabytes)} MB"


def short(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def libraries() -> str:
    import av
    import soundfile

    return f"libsndfile {soundfile.__libsndfile_version__}, PyAV {av.__version__} with FFmpeg {av.ffmpeg_version_info}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m measure.bench.hostile", description="Measure the worst bodies known."
    )
    parser.add_argument(
        "--only", default="", help="attacks whose name contains this; the result is only printed"
    )
    parser.add_argument("--results", type=Path, default=RESULTS)
    chosen = parser.parse_args(arguments)
    found = {
        "machine": machine.describe().model_dump(),
        "libraries": libraries(),
        "cpu_seconds": LIMITS.max_decode_seconds,
        "memory": pool.MEMORY,
        "attacks": measure([each for each in attacks() if chosen.only in each.name]),
    }
    if chosen.only:
        print(table(found))
        return 0
    save_json(found, chosen.results / FILE)
    if chosen.results == RESULTS:
        PAGE.write(table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
