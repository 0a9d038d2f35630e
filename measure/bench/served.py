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
import statistics
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import Any

from measure import ROOT, MeasureError, command, machine
from measure.bench import RESULTS
from measure.bench.null_server import CONNECTIONS, LONE, MODEL, Served, connected, serving
from measure.bench.recordings import CLIP_SECONDS, recordings
from measure.document import Page, Table, join
from measure.machine import Machine
from measure.results import ratio, save_json

FILE, PAGE = "served.json", Page.of("benchmark", "measure.bench.served")


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
    option(
        "--against", type=Path, help="another checkout of this repository that has handler/speaker_worker.py"
    )
    option("--rounds", type=int, default=5)
    option("--seconds", type=float, default=5.0, help="of each format in each round")
    option("--formats", type=command.names, default=list(recordings()))
    option("--full", action="store_true", help="with the demo's encoder")
    option("--results", type=Path, help=f"folder to write to; with {RESULTS} the document too")
    chosen = parser.parse_args()
    return command.guarded("measure.bench.served", lambda: run(chosen))


if __name__ == "__main__":
    sys.exit(main())
