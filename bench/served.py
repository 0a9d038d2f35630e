"""What serving costs beside the encoder: gateway, TorchServe, handler and decoding around one that does nothing.

    python -m bench.served [--against CHECKOUT] [--rounds 5] [--seconds 5] [--formats wav,mp3] [--full]

Each format is asked for by 16 connections at once (requests a second, and CPU milliseconds a request by process) and
by one (the lone clip's latency). With another checkout of this repository both are served side by side and asked in
turn, so that a ratio compares neighbours in time. `--full` keeps the demo's encoder.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from bench import BUILD, ROOT, machine
from bundle import archive, ports, processes
from chaos.recordings import Samples, by_ffmpeg, by_libsndfile

CONNECTIONS, CLIP_SECONDS, LONE = 16, 4.0, 40
MODEL = "demo"
START_SECONDS = 300.0
# in the checkout's own Python path, whose settings are its own
BUILD_ARCHIVE = """\
import sys; from pathlib import Path; from bundle import archive, sources
model, store, handler = sys.argv[1:]
archive.build(sources.resolve(model, root=Path("models")), Path(store), handler=Path(handler))"""
PROCESSES = {
    "envoy": "gateway",
    "java": "TorchServe",
    "model_service_worker": "worker",
    "fork_server": "decoders",
}


@dataclass
class Served:
    """One checkout's server, and what was measured of it: a list each, by format."""

    name: str
    port: int
    pid: int
    rates: dict[str, list[float]] = field(default_factory=dict)
    lone: dict[str, list[float]] = field(default_factory=dict)
    cpu: dict[str, dict[str, float]] = field(default_factory=dict)

    def decoders_mb(self) -> list[float]:
        """Resident MB of the fork server and of each decoder."""
        found = []
        for process in psutil.Process(self.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if "fork_server" in " ".join(process.cmdline()):
                    found.append(process.memory_info().rss / 1e6)
        return found

    def processor_seconds(self) -> dict[str, float]:
        """CPU time used so far, by kind of process."""
        used = dict.fromkeys(PROCESSES.values(), 0.0)
        for process in psutil.Process(self.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                seconds, command = processes.cpu_seconds(process), " ".join(process.cmdline())
                kind = next((kind for mark, kind in PROCESSES.items() if mark in command), None)
                if kind:
                    used[kind] += seconds
        return used


def recordings() -> dict[str, bytes]:
    """One clip of speech-like noise in each format."""
    rng = np.random.default_rng(0)

    def noise(rate: int, channels: int) -> Samples:
        samples: Samples = (
            (rng.standard_normal((int(CLIP_SECONDS * rate), channels)) * 0.1).astype(np.float32).T
        )
        return samples

    def sound(container: str, codec: str, rate: int, channels: int) -> bytes:
        return by_libsndfile(container, codec, noise(rate, channels), rate)

    return {
        "wav": sound("WAV", "PCM_16", 16000, 1),
        "flac": sound("FLAC", "PCM_16", 16000, 1),
        "opus": sound("OGG", "OPUS", 48000, 1),
        "mp3": sound("MP3", "MPEG_LAYER_III", 44100, 2),
        "m4a": by_ffmpeg("ipod", "aac", noise(44100, 2), 44100),
    }


def null_handler(checkout: Path, folder: Path) -> Path:
    """A folder like a checkout's handler/, whose handler has the encoder that does nothing."""
    shutil.copytree(checkout / "handler", folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / archive.HANDLER_FILE).rename(folder / archive.CORE_PACKAGE / "shipped.py")
    shutil.copy(Path(__file__).with_name("null_handler.py"), folder / archive.HANDLER_FILE)
    return folder


@contextlib.contextmanager
def serving(checkout: Path, name: str, full: bool) -> Iterator[Served]:
    """A checkout's own server, ready, for the length of the block."""
    with tempfile.TemporaryDirectory(prefix="served-") as temp:
        folder, store, port = Path(temp), BUILD / "served" / name, ports.free(1)[0]
        handler = checkout / "handler" if full else null_handler(checkout, folder / "handler")
        shutil.rmtree(store, ignore_errors=True)
        environment = {**os.environ, "PYTHONPATH": str(checkout / "handler")}
        build = [sys.executable, "-c", BUILD_ARCHIVE, MODEL, str(store), str(handler)]
        subprocess.run(build, cwd=checkout, env=environment, check=True)
        command = [
            sys.executable,
            "-m",
            "bundle.serve",
            "--archived",
            str(store),
            "--run",
            str(folder / "run"),
        ]
        with (BUILD / f"served-{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [*command, "--port", str(port)],
                cwd=checkout,
                env=environment,
                stdout=log,
                stderr=log,
            )
        try:
            wait_ready(process, name, port)
            yield Served(name, port, process.pid)
        finally:
            process.terminate()
            process.wait()


def wait_ready(process: subprocess.Popen[bytes], name: str, port: int) -> None:
    ends = time.monotonic() + START_SECONDS
    while not is_ready(port):
        if process.poll() is not None or time.monotonic() > ends:
            raise SystemExit(f"bench.served: {name} does not start: see {BUILD / f'served-{name}.log'}")
        time.sleep(0.2)  # between two looks


def is_ready(port: int) -> bool:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        try:
            connection.request("GET", "/v2/health/ready")
            return connection.getresponse().status == HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False


def ask(connection: http.client.HTTPConnection, body: bytes) -> None:
    connection.request("POST", f"/predictions/{MODEL}", body, {"content-type": "application/octet-stream"})
    response = connection.getresponse()
    text = response.read()
    if response.status != HTTPStatus.OK:
        raise SystemExit(f"bench.served: {response.status} {text[:200]!r}")


def at_once(port: int, body: bytes, seconds: float) -> tuple[int, float]:
    """Requests answered to CONNECTIONS callers, and the seconds that it took."""
    counts = [0] * CONNECTIONS
    began = time.perf_counter()

    def call(index: int) -> None:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=120)) as connection:
            while time.perf_counter() - began < seconds:
                ask(connection, body)
                counts[index] += 1

    threads = [threading.Thread(target=call, args=(index,)) for index in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts), time.perf_counter() - began


def measure(server: Served, name: str, body: bytes, seconds: float) -> None:
    before = server.processor_seconds()
    count, took = at_once(server.port, body, seconds)
    used = {kind: 1e3 * (after - before[kind]) / count for kind, after in server.processor_seconds().items()}
    server.cpu.setdefault(name, {}).update(used)
    server.rates.setdefault(name, []).append(count / took)
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)) as connection:
        for _ in range(LONE):
            began = time.perf_counter()
            ask(connection, body)
            server.lone.setdefault(name, []).append(1e3 * (time.perf_counter() - began))


def report(servers: Sequence[Served], formats: Sequence[str]) -> Table:
    table = Table(
        title=f"{CLIP_SECONDS:g} s clips, {CONNECTIONS} connections, then one; {machine.describe().cpu}"
    )
    for title in (
        "format",
        "server",
        "requests/s",
        "lone ms",
        *(f"{kind} ms" for kind in PROCESSES.values()),
    ):
        table.add_column(title)
    middle: Callable[[Sequence[float]], float] = statistics.median
    for name in formats:
        for server in servers:
            cpu = [f"{server.cpu[name][kind]:.1f}" for kind in PROCESSES.values()]
            table.add_row(
                name,
                server.name,
                f"{middle(server.rates[name]):.1f}",
                f"{middle(server.lone[name]):.1f}",
                *cpu,
            )
        if len(servers) == 2:
            ours, other = servers
            rate = middle([a / b for a, b in zip(ours.rates[name], other.rates[name], strict=True)])
            lone = middle(ours.lone[name]) / middle(other.lone[name])
            table.add_row(name, "ratio", f"{rate:.3f}", f"{lone:.3f}")
    return table


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.served", description=__doc__.splitlines()[0])
    parser.add_argument("--against", type=Path, help="another checkout of this repository")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each format in each round")
    parser.add_argument("--formats", default="wav,flac,opus,mp3,m4a")
    parser.add_argument("--full", action="store_true", help="with the demo's encoder")
    args = parser.parse_args()
    made = recordings()
    clips = {name: made[name] for name in args.formats.split(",")}
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(serving(ROOT, "this", args.full))]
        if args.against:
            servers.append(stack.enter_context(serving(args.against.resolve(), "other", args.full)))
        for number in range(args.rounds + 1):
            if number == 1:  # the round before warmed up
                for server in servers:
                    server.rates.clear()
                    server.lone.clear()
            for name, body in clips.items():
                for server in servers if number % 2 else servers[::-1]:
                    measure(server, name, body, args.seconds)
        memory = [f"{mb:.0f}" for mb in servers[0].decoders_mb()]
    screen = Console(width=140)
    screen.print(report(servers, list(clips)))
    screen.print(f"resident MB of the fork server and of each decoder: {', '.join(memory)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
