"""`make serve`: serve models in the foreground until Ctrl-C or SIGTERM, then stop without dropping a request.

python -m serving.serve --models "demo other:2.0" --port 8080
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import shlex
import sys
import time
from collections.abc import Collection, Sequence
from ipaddress import IPv4Address
from pathlib import Path
from urllib.parse import urlsplit

from bundle import BundleError, archived, samples, sources, store, versions
from bundle.command_line import Parser
from bundle.sources import ModelSpec
from bundle.terminal import say
from serving import state
from serving.gateway import cors, tls, tokens
from serving.gateway.envoy import Gateway
from serving.host import allocator, orphans, ports
from serving.host.allocator import Allocator
from serving.host.ports import LOOPBACK
from serving.service import Service
from serving.signals import Interrupted, Stopper

WATCH_SECONDS = 0.2
ANSWER_SECONDS = 60.0  # for the first answer of all, before callers come


def serve(
    specs: Sequence[ModelSpec],
    port: int,
    grace: float,
    memory: Allocator,
    accepted: Path | None,
    delay: float = 0.0,
    archived: Path | None = None,
    run: Path | None = None,
    address: str = LOOPBACK,
    *,
    certificate: Path | None = None,
    origins: Sequence[str] = (),
    metrics: tuple[str, int] | None = None,
    otlp: str | None = None,
    pinned: Collection[str] = (),
) -> int:
    """Build what is missing, start, watch, stop.

    Args:
        specs: the models.
        port: the public one.
        grace: seconds for requests in flight at a stop.
        memory: the allocator of Java and the workers.
        accepted: file of bearer tokens.
        delay: seconds between "not ready" and refusing connections.
        archived: the folder that the models' archives are in already; nothing is built or fetched then.
        run: where to write, `build/run/PORT` by default.
        address: where the gateway listens, and nothing but the gateway.
        certificate: folder of tls.crt and tls.key; plain HTTP without one.
        origins: of the web pages whose scripts may ask.
        metrics: where metrics are scraped; a free port on loopback without it.
        otlp: host:port of an OpenTelemetry collector.
        pinned: names of the models whose version was asked for, whatever a roll-out has promoted.

    Returns:
        The exit code: 0 after a stop that somebody asked for, 1 after a fault.
    """
    stopper = Stopper()
    already_running(port)
    if remaining := orphans.clear_all(state.RUN):
        raise BundleError(
            f"processes {remaining} of a killed server are still there although they were killed"
        )
    token = tokens.read(accepted)[0] if accepted else None
    shown = tls.read(certificate) if certificate else None
    variables = allocator.environment(memory)
    if not archived:
        specs = [versions.current(spec, pinned=spec.name in pinned) for spec in specs]
    models, folder = archived or store.STORE, run or state.RUN / str(port)
    service = Service(
        specs,
        models,
        folder,
        port,
        variables,
        accepted,
        address,
        certificate=certificate,
        origins=origins,
        metrics=metrics,
        otlp=otlp,
    )
    fault: str | None = None
    try:
        began = time.monotonic()
        service.start(progress=lambda text: say(f"starting, {time.monotonic() - began:.0f} s: {text}"))
        announce(service, token, shown)
        stopper.raising = False
        while not stopper.asked and (fault := service.fault()) is None:
            if why := service.rotate_logs():
                say(f"a log has become too large and cannot be replaced yet: {why}")
            service.mend(say)
            time.sleep(WATCH_SECONDS)  # between two looks at the processes
    except Interrupted:
        pass
    except BundleError as exc:
        fault = str(exc)
    finally:
        stopper.raising = False
        if fault is None:
            say("stopping: no new requests, waiting for those in flight (Ctrl-C again to hurry)")
        began = time.monotonic()
        cut = service.stop(grace, stopper.hurry, delay)
    if fault is not None:
        raise BundleError(fault)
    left = f"; {cut} unanswered requests were cut off" if cut else ""
    say(f"stopped in {time.monotonic() - began:.1f} s, nothing left running{left}")
    return 0


def already_running(port: int) -> None:
    """Raises BundleError if our own server holds the port."""
    for _, running in state.states():
        if running.serve.alive and running.port == port:
            raise BundleError(
                f"port {port} already serves {', '.join(running.models)}: end it with `make stop`, "
                "or choose another with PORT="
            )


def announce(service: Service, token: str | None, certificate: tls.Certificate | None) -> None:
    """Say that every model is ready, with a request to copy and the answer it just gave."""
    clip, lines = samples.samples()[0].path, []
    audio, headers = clip.read_bytes(), {"content-type": "application/octet-stream"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    base, trust = service.gateway.url, ""
    if certificate:
        base = certificate.url(base)
        trust = f" --cacert {shlex.quote(str(certificate.trust))}" if certificate.trust else ""
    for spec in service.specs:
        url = f"{base}/predictions/{spec.name}"
        answer = ask(service.gateway, f"/predictions/{spec.name}", audio, headers)
        demo = ", the DEMO model, which knows six voices and no other" if spec.demo else ""
        lines.append(f"ready: {spec.name} {spec.version}{demo}, at {url} (Ctrl-C stops)\n")
        bearer = ' -H "Authorization: Bearer $TOKEN"' if token else ""
        lines.append(f"  curl{trust} -T {clip}{bearer} {url}\n  {answer}\n")
    lines.append(f"metrics: {service.exporter.url}\n")
    say("\n".join(lines))


def ask(gateway: Gateway, path: str, body: bytes, headers: dict[str, str]) -> str:
    """What the gateway answers to whoever calls from this machine, and knows its certificate."""
    host, port = urlsplit(gateway.url).hostname or LOOPBACK, gateway.port
    try:
        connection = (
            http.client.HTTPSConnection(
                host, port, timeout=ANSWER_SECONDS, context=tls.trusting(gateway.certificate)
            )
            if gateway.certificate
            else http.client.HTTPConnection(host, port, timeout=ANSWER_SECONDS)
        )
        with contextlib.closing(connection):
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as exc:
        raise BundleError(
            f"the server started, but POST {path} is not answered ({type(exc).__name__})"
        ) from exc
    if answer.status != 200:
        raise BundleError(f"the server started, but POST {path} is answered {answer.status}: {text}")
    return text


def asked_for(args: argparse.Namespace) -> list[ModelSpec]:
    if args.archived:
        return archived.read_store(args.archived)
    if not args.models:
        return [sources.resolve(args.model, args.revision or None)]
    if args.revision:
        raise BundleError(
            f"REVISION={args.revision} is for MODEL=; give each of MODELS= its own in model.yaml"
        )
    return sources.resolve_all(args.models)


def main() -> int:
    parser = Parser(prog="make serve", description="Serve models on loopback.")
    parser.add_argument(
        "--model", default="demo", help="a name under models/, a hub id, or a checkpoint's folder"
    )
    parser.add_argument(
        "--models", default="", help="several of them, with spaces between; NAME:2.0 is served as version 2.0"
    )
    parser.add_argument("--revision", default="", help="of a hub model, over the pinned one")
    parser.add_argument("--port", type=ports.number, default=8080)
    parser.add_argument(
        "--grace", type=float, default=state.GRACE_SECONDS, help="seconds for requests in flight at a stop"
    )
    parser.add_argument(
        "--stop-delay",
        type=float,
        default=0.0,
        help="seconds between not being ready and refusing connections, for whoever balances load to notice",
    )
    parser.add_argument(
        "--allocator", choices=allocator.NAMES, default="glibc", help="of Java and the workers"
    )
    parser.add_argument(
        "--tokens", type=Path, help="file of bearer tokens, one a line; callers must have one"
    )
    parser.add_argument("--tls", type=Path, help="folder of tls.crt and tls.key, PEM; plain HTTP without it")
    parser.add_argument(
        "--metrics-port", type=ports.number_or_free, default=0, help="for Prometheus; 0 is a free one"
    )
    parser.add_argument(
        "--metrics-address",
        type=IPv4Address,
        default=LOOPBACK,
        help="where that port is (default: %(default)s)",
    )
    parser.add_argument("--otlp", default="", help="host:port of an OpenTelemetry collector, OTLP over HTTP")
    parser.add_argument("--cors", default="", help="origins of the web pages whose scripts may ask")
    parser.add_argument(
        "--archived",
        type=Path,
        help="serve the archives of this folder as they are: nothing is built, nothing is fetched",
    )
    parser.add_argument(
        "--run", type=Path, help="the folder to write in; beside it only TMPDIR is written to"
    )
    parser.add_argument(
        "--address",
        type=IPv4Address,
        default=LOOPBACK,
        help="IPv4 address of the gateway; 0.0.0.0 lets the network in",
    )
    args = parser.parse_args()
    try:
        if args.metrics_port == args.port:
            raise BundleError(f"METRICS_PORT={args.port} is PORT= too: choose another for one of them")
        specs = asked_for(args)
        return serve(
            specs,
            args.port,
            args.grace,
            args.allocator,
            args.tokens,
            args.stop_delay,
            args.archived,
            args.run,
            str(args.address),
            certificate=args.tls,
            origins=cors.read(args.cors),
            metrics=(str(args.metrics_address), args.metrics_port or ports.free(1)[0]),
            otlp=args.otlp or None,
            pinned=versions.named(args.models),
        )
    except BundleError as exc:
        print(f"serve: {exc}", file=sys.stderr)
        return 1
    except Interrupted:  # while the archive was being built: nothing to stop yet
        return 0


if __name__ == "__main__":
    sys.exit(main())
