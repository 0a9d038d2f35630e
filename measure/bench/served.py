"""What serving costs beside the encoder: gateway, TorchServe, handler and decoding around an encoder that does nothing.

    python -m measure.bench.served [--against CHECKOUT] [--rounds 5] [--seconds 5] [--formats wav,mp3] [--full]

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
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import psutil

from bundle import archive
from measure import ROOT, MeasureError, command, machine
from measure.bench import BUILD, RESULTS
from measure.bench.recordings import CLIP_SECONDS, recordings
from measure.document import Page, Table, join
from measure.machine import Machine
from measure.results import ratio, save_json
from serving.host import ports, processes
from serving.host.polling import wait_until

FILE, PAGE = "served.json", Page.of("benchmark", "measure.bench.served")
CONNECTIONS, LONE = 16, 40
MODEL = "demo"
START_SECONDS = 300.0
# run with the checkout's own Python path, so that its own settings apply
BUILD_ARCHIVE = """\
import sys; from pathlib import Path; from bundle import archive, sources
model, store, handler = sys.argv[1:]
archive.build(sources.resolve(model, root=Path("models")), Path(store), handler=Path(handler))"""
# what its command line contains → kind of process
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

    def usage(self) -> dict[str, list[tuple[float, float]]]:
        """CPU seconds used so far and resident MB of each process, by kind of process."""
        used: dict[str, list[tuple[float, float]]] = {kind: [] for kind in PROCESSES.values()}
        for process in psutil.Process(self.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                command = " ".join(process.cmdline())
                kind = next((kind for mark, kind in PROCESSES.items() if mark in command), None)
                if kind:
                    used[kind].append((processes.cpu_seconds(process), process.memory_info().rss / 1e6))
        return used

    def processor_seconds(self) -> dict[str, float]:
        return {kind: sum(seconds for seconds, _ in each) for kind, each in self.usage().items()}


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
        (command_of,) = checkout.glob("*/serve.py")  # an older checkout has it in another folder
        module = f"{command_of.parent.name}.serve"
        serve = [sys.executable, "-m", module, "--archived", str(store), "--port", str(port)]
        serve += ["--run", str(folder / "run")]
        with (BUILD / f"served-{name}.log").open("wb") as log:
            process = subprocess.Popen(serve, cwd=checkout, env=environment, stdout=log, stderr=log)
        try:
            wait_ready(process, name, port)
            yield Served(name, port, process.pid)
        finally:
            process.terminate()
            process.wait()


def wait_ready(process: subprocess.Popen[bytes], name: str, port: int) -> None:
    wait_until(lambda: process.poll() is not None or is_ready(port), START_SECONDS)
    if process.poll() is not None or not is_ready(port):
        raise MeasureError(f"{name} does not start: see {BUILD / f'served-{name}.log'}")


def is_ready(port: int) -> bool:
    try:
        with connected(port) as connection:
            connection.request("GET", "/v2/health/ready")
            return connection.getresponse().status == HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False


def connected(port: int) -> contextlib.closing[http.client.HTTPConnection]:
    return contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=120))


def ask(connection: http.client.HTTPConnection, body: bytes) -> None:
    connection.request("POST", f"/predictions/{MODEL}", body, {"content-type": "application/octet-stream"})
    response = connection.getresponse()
    text = response.read()
    if response.status != HTTPStatus.OK:
        raise MeasureError(f"{response.status} {text[:200]!r}")


def at_once(port: int, body: bytes, seconds: float) -> tuple[int, float]:
    """Requests answered to CONNECTIONS callers, and the seconds that it took."""
    began = time.perf_counter()

    def call() -> int:
        count = 0
        with connected(port) as connection:
            while time.perf_counter() - began < seconds:
                ask(connection, body)
                count += 1
        return count

    with ThreadPoolExecutor(CONNECTIONS) as callers:
        counts = [callers.submit(call) for _ in range(CONNECTIONS)]
    return sum(count.result() for count in counts), time.perf_counter() - began


def measure(server: Served, name: str, body: bytes, seconds: float) -> None:
    before = server.processor_seconds()
    count, took = at_once(server.port, body, seconds)
    used = {kind: 1e3 * (after - before[kind]) / count for kind, after in server.processor_seconds().items()}
    server.cpu.setdefault(name, {}).update(used)
    server.rates.setdefault(name, []).append(count / took)
    with connected(server.port) as connection:
        for _ in range(LONE):
            began = time.perf_counter()
            ask(connection, body)
            server.lone.setdefault(name, []).append(1e3 * (time.perf_counter() - began))


def summary(servers: Sequence[Served]) -> list[dict[str, Any]]:
    """A row a format and server: medians of requests/s and of the lone clip's ms, CPU ms a request by process."""
    return [
        {
            "format": name,
            "server": server.name,
            "requests/s": round(statistics.median(rates), 1),
            "lone ms": round(statistics.median(server.lone[name]), 1),
            **{f"{kind} ms": round(used, 1) for kind, used in server.cpu[name].items()},
        }
        for server in servers
        for name, rates in server.rates.items()
    ]


def ratios(ours: Served, other: Served) -> list[dict[str, Any]]:
    """A row a format: the median of each round's ratio of requests/s, and the ratio of the lone clip's medians."""
    return [
        {
            "format": name,
            "server": f"{ours.name} by {other.name}",
            "requests/s": round(ratio(rates, other.rates[name]), 3),
            "lone ms": round(statistics.median(ours.lone[name]) / statistics.median(other.lone[name]), 3),
        }
        for name, rates in ours.rates.items()
    ]


def table(found: dict[str, Any]) -> str:
    """What was found, as the document has it."""
    columns = list(found["rows"][0])
    return join(
        f"{Machine(**found['machine']).words()}. Clips of {CLIP_SECONDS:g} s, {CONNECTIONS} connections, then one.",
        Table(columns, [[str(row.get(column, "")) for column in columns] for row in found["rows"]], "ll"),
        f"Resident: fork server and decoders {', '.join(found['decoders MB'])} MB.",
    )


def run(chosen: argparse.Namespace) -> None:
    made = recordings()
    clips = {name: made[name] for name in chosen.formats}
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(serving(ROOT, "this", chosen.full))]
        if chosen.against:
            servers.append(stack.enter_context(serving(chosen.against.resolve(), "other", chosen.full)))
        for number in range(chosen.rounds + 1):
            if number == 1:  # the round before warmed up
                for server in servers:
                    server.rates.clear()
                    server.lone.clear()
            for name, body in clips.items():
                for server in servers if number % 2 else servers[::-1]:
                    measure(server, name, body, chosen.seconds)
        memory = [f"{mb:.0f}" for _, mb in servers[0].usage()["decoders"]]
    rows = summary(servers) + (ratios(*servers) if chosen.against else [])
    here = machine.describe().model_dump()
    found = {"machine": here, "encoder": chosen.full, "rows": rows, "decoders MB": memory}
    print(table(found))
    if chosen.results:
        save_json(found, chosen.results / FILE)
        if chosen.results.resolve() == RESULTS:
            PAGE.write(table(found))


def main() -> int:
    parser = command.parser("measure.bench.served", "Measure what serving costs beside the encoder.")
    option = parser.add_argument
    option("--against", type=Path, help="another checkout of this repository")
    option("--rounds", type=int, default=5)
    option("--seconds", type=float, default=5.0, help="of each format in each round")
    option("--formats", type=command.names, default=list(recordings()))
    option("--full", action="store_true", help="with the demo's encoder")
    option("--results", type=Path, help=f"folder to write to; with {RESULTS} the document too")
    chosen = parser.parse_args()
    return command.guarded("measure.bench.served", lambda: run(chosen))


if __name__ == "__main__":
    sys.exit(main())
