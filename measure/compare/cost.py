"""What serving costs beside the encoder, for each model server and each way to ask: CPU milliseconds of every process.

    python -m measure.compare.cost [--servers torchserve,triton] [--ways bytes,json,binary,grpc] [--rounds 3]

The demo model's archive around an encoder that does nothing, served whole; 16 callers send a WAV file of 4 s over kept
connections, then one does. The callers' own processor time is not counted. Servers and ways take turns.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import grpc

from measure import ROOT, MeasureError, command, machine, over_grpc
from measure.bench import null_server
from measure.bench.null_server import CONNECTIONS, KINDS, LONE, MODEL, Served
from measure.bench.recordings import CLIP_SECONDS, recordings
from measure.command import Say
from measure.compare import BUILD, RESULTS
from measure.compare.results import COST_FILE, CostRow
from measure.loadtest.clips import Clip
from measure.loadtest.target import Target, encode
from measure.noise import Neighbours, check_quiet
from measure.results import append
from serving import model_servers
from serving.host.ports import LOOPBACK

ROUNDS, SECONDS = 3, 4.0
QUICK_SECONDS = 1.0
CLIP = "wav"
OPEN_INFERENCE = f"/v2/models/{MODEL}/infer"
# way → path and form
HTTP = {
    "bytes": (f"/predictions/{MODEL}", "raw"),
    "json": (
        OPEN_INFERENCE,
        'json:{"inputs": [{"name": "audio", "shape": [1], "datatype": "BYTES", "data": ["$AUDIO"]}]}',
    ),
    "binary": (OPEN_INFERENCE, "binary:audio"),
}
WAYS = (*HTTP, "grpc")
Ask = Callable[[], None]  # sends one request over a connection that it keeps; raises MeasureError


@dataclass
class Cost:
    """What one server's way was measured to do, a value a round, or a lone clip."""

    rates: list[float] = field(default_factory=list)  # requests/s
    lone: list[float] = field(default_factory=list)  # ms
    cpu: list[dict[str, float]] = field(default_factory=list)  # ms a request, by kind of process


@contextlib.contextmanager
def asking(server: str, way: str, port: int, clip: Clip) -> Iterator[Ask]:
    """A connection of its own."""
    content = clip.path.read_bytes()
    if way == "grpc":
        api = over_grpc.APIS[server]
        message = api.request(MODEL, "", content)
        with over_grpc.channel(f"{LOOPBACK}:{port}") as channel:
            call = channel.unary_unary(api.method)

            def ask() -> None:
                try:
                    call(message, timeout=null_server.START_SECONDS)
                except grpc.RpcError as exc:
                    raise MeasureError(f"{api.method}: {exc.code().name} {exc.details()}") from exc

            yield ask
        return
    path, form = HTTP[way]
    body, headers = encode(Target(path, form), clip, content)
    with null_server.connected(port) as connection:

        def post() -> None:
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            text = response.read()
            if response.status != HTTPStatus.OK:
                raise MeasureError(f"{path}: {response.status} {text[:200]!r}")

        yield post


def at_once(
    connect: Callable[[], contextlib.AbstractContextManager[Ask]], seconds: float
) -> tuple[int, float]:
    """Requests answered to CONNECTIONS callers, and the seconds that it took."""
    ready = threading.Barrier(CONNECTIONS)

    def call() -> tuple[int, float]:
        count = 0
        with connect() as ask:
            ready.wait(null_server.START_SECONDS)
            began = time.perf_counter()
            while (took := time.perf_counter() - began) < seconds:
                ask()
                count += 1
        return count, took

    with ThreadPoolExecutor(CONNECTIONS) as callers:
        calls = [callers.submit(call) for _ in range(CONNECTIONS)]
    counts, times = zip(*(call.result() for call in calls), strict=True)
    return sum(counts), max(times)


def measure(server: Served, way: str, clip: Clip, seconds: float, cost: Cost) -> None:
    def connect() -> contextlib.AbstractContextManager[Ask]:
        return asking(server.name, way, server.port, clip)

    before = server.processor_seconds()
    count, took = at_once(connect, seconds)
    after = server.processor_seconds()
    cost.cpu.append({kind: 1e3 * (after[kind] - before[kind]) / count for kind in KINDS})
    cost.rates.append(count / took)
    with connect() as ask:
        for _ in range(LONE):
            began = time.perf_counter()
            ask()
            cost.lone.append(1e3 * (time.perf_counter() - began))


def row(server: str, way: str, cost: Cost, shared: Mapping[str, Any]) -> CostRow:
    """Medians over the rounds."""
    cpu = {kind: statistics.median(each[kind] for each in cost.cpu) for kind in KINDS}
    return CostRow(
        server=server,
        way=way,
        rate=round(statistics.median(cost.rates), 1),
        lone_ms=round(statistics.median(cost.lone), 2),
        cpu_ms=round(statistics.median(sum(each.values()) for each in cost.cpu), 2),
        gateway_ms=round(cpu["gateway"], 2),
        server_ms=round(cpu["TorchServe"] + cpu["Triton"], 2),
        worker_ms=round(cpu["worker"], 2),
        decoders_ms=round(cpu["decoders"], 2),
        **shared,
    )


def run(chosen: argparse.Namespace, say: Say) -> None:
    began, neighbours = machine.provenance(), Neighbours()
    check_quiet(say)
    seconds = QUICK_SECONDS if chosen.quick else chosen.seconds
    found = {(server, way): Cost() for server in chosen.servers for way in chosen.ways}
    for server in chosen.servers if "grpc" in chosen.ways else ():
        over_grpc.APIS[server].request(MODEL, "", b"")  # compiles its messages, which takes a second
    with tempfile.TemporaryDirectory(prefix="cost-") as folder, contextlib.ExitStack() as stack:
        path = Path(folder) / f"clip.{CLIP}"
        path.write_bytes(recordings()[CLIP])
        clip = Clip(path.name, path, CLIP_SECONDS, "audio/wav")
        running = {
            name: stack.enter_context(null_server.serving(ROOT, name, full=False, server=name))
            for name in chosen.servers
        }
        for number in range(chosen.rounds + 1):
            for (name, way), cost in found.items():
                measure(running[name], way, clip, seconds, cost if number else Cost())  # the first warms up
            say(f"round {number} of {chosen.rounds}")
        foreign = neighbours.cores()
    whole = (
        chosen.servers == list(model_servers.NAMES) and chosen.ways == list(WAYS) and chosen.rounds >= ROUNDS
    )
    shared = command.shared(chosen, began, f"a WAV file of {CLIP_SECONDS:g} s", whole)
    shared |= {"model": f"{MODEL}, with an encoder that does nothing", "foreign_cores": round(foreign, 3)}
    rows = [row(server, way, cost, shared) for (server, way), cost in found.items()]
    for it in rows:
        say(
            f"{it.server}, {it.way}: {it.cpu_ms:.2f} CPU ms a request (gateway {it.gateway_ms:.2f}, server "
            f"{it.server_ms:.2f}, worker {it.worker_ms:.2f}, decoders {it.decoders_ms:.2f}), {it.rate:.0f} requests/s, "
            f"a lone clip {it.lone_ms:.1f} ms"
        )
    folder_ = command.folder(chosen, RESULTS, BUILD)
    append(folder_ / COST_FILE, rows)
    say(command.written(folder_, shared))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = command.parser("measure.compare.cost", "Measure what serving costs beside the encoder.")
    option = parser.add_argument
    option("--servers", type=command.names, default=list(model_servers.NAMES), help="(%(default)s)")
    option("--ways", type=command.names, default=list(WAYS), help="(%(default)s)")
    option("--rounds", type=int, default=ROUNDS, help="default: %(default)s")
    option("--seconds", type=float, default=SECONDS, help="of each way in each round (%(default)s)")
    command.add_run_options(parser, quick="a second a way")
    chosen = parser.parse_args(arguments)
    if unknown := (set(chosen.servers) - set(model_servers.NAMES)) | (set(chosen.ways) - set(WAYS)):
        parser.error(f"{','.join(sorted(unknown))}: not one of {','.join((*model_servers.NAMES, *WAYS))}")
    return command.guarded("cost", lambda: run(chosen, command.progress()))


if __name__ == "__main__":
    sys.exit(main())
