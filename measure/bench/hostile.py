"""What the worst bodies known cost: every attack through a real decoder process, its CPU time and memory measured.

python -m measure.bench.hostile [--only Ogg]     writes measure/bench/results/hostile.json and docs/results/hostile.md

CPU time and address space are the decoder's own, so that other work on the machine hardly affects them.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psutil
from speaker_id.clip import SAMPLING_RATE
from speaker_id.decoders import faults, pool
from speaker_id.decoders.forking import ForkServer
from speaker_id.decoders.patience import Patience
from speaker_id.decoders.process import DecoderProcess
from speaker_id.decoders.wire import Lost
from speaker_id.errors import RequestError
from speaker_id.settings import Settings

from measure import command, machine
from measure.bench import RESULTS
from measure.chaos.attacks import Attack, attacks
from measure.document import Page, Table, join
from measure.machine import Machine
from measure.sampling import peaks, sampled
from serving.host import processes

SIZES = (1 << 20, 30 << 20)  # bytes of body: what costs are divided by, and the most that the gateway lets in
MIN_SAMPLES = 400
PATIENCE = 300.0  # s for one body; the limit is on CPU time, this only ends what hangs
POLL_SECONDS = 0.01  # between two samples of a decoder that may end
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


class Used:
    """What a decoder has used since it was idle, sampled so that it is known once the decoder has ended too."""

    def __init__(self, pid: int) -> None:
        self.pid, self.process = pid, psutil.Process(pid)
        self.idle = self.peaks = peaks(pid)
        self.idle_seconds = processes.cpu_seconds(self.process)

    def look(self) -> None:
        self.peaks = peaks(self.pid) or self.peaks

    def memory(self, name: str) -> int:
        return max(0, self.peaks[name] - self.idle[name])

    def cpu_seconds(self) -> float:
        # also of a decoder that has ended, until the fork server reaps it
        return processes.cpu_seconds(self.process) - self.idle_seconds


@contextlib.contextmanager
def fork_server(max_seconds: float = LIMITS.max_clip_seconds) -> Iterator[ForkServer]:
    server = ForkServer(pool.MEMORY, 4 * (int(max_seconds * SAMPLING_RATE) + 1))
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
    request = {"sampling_rate": SAMPLING_RATE, "max_seconds": max_seconds, "min_samples": MIN_SAMPLES}
    error: RequestError | None = None
    try:
        used = Used(process.pid)
        with sampled(used.look, POLL_SECONDS):
            try:
                reply = process.ask({**request, "cpu_seconds": cpu_seconds}, body, PATIENCE)
                error = None if "samples" in reply else faults.told(reply, pool.MEMORY)
            except TimeoutError:
                error = Patience(None).late()
            except Lost:
                reply = {}
        seconds = used.cpu_seconds()
        if error is None and not reply:
            error = faults.ended(process.end(), cpu_seconds)
    finally:
        process.close()
    fault = " ".join(filter(None, error.fault)) if error and error.fault else ""
    return Cost(
        size=len(body),
        outcome=error.code if error else "answered",
        fault=fault,
        cpu_seconds=round(seconds, 3),
        address_space=used.memory("Peak"),
        resident=used.memory("HWM"),
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
    parser = command.parser("measure.bench.hostile", "Measure the worst bodies known.", RESULTS)
    parser.add_argument(
        "--only", default="", help="attacks whose name contains this; the result is only printed"
    )
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
    PAGE.record(found, table, chosen.results / FILE, RESULTS / FILE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
