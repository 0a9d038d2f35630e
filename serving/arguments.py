"""The command line of `make serve`, and what it says about the gateway as one value."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address
from pathlib import Path

from bundle import BundleError
from bundle.command_line import Parser
from bundle.terminal import say
from serving import model_servers, platforms, state
from serving.gateway import aliases, cors, shares, tls, tokens, tracing
from serving.gateway.options import RECORDING_BYTES, GatewayOptions
from serving.host import allocator, ports
from serving.host.ports import LOOPBACK


def parser() -> Parser:
    """Every option of the command, with its default."""
    made = Parser(prog="python -m serving.serve", description="Serve models on loopback.")
    add = made.add_argument
    add(
        "--model",
        default="demo",
        help="a name under models/, a hub id, or a checkpoint's folder (default: %(default)s)",
    )
    add("--models", default="", help="several models, separated by spaces; NAME:2.0 is served as version 2.0")
    add("--revision", default="", help="of a hub model, instead of the pinned one")
    add("--gallery", default="", help="enrolled voices, what `make enrol` wrote (default: model.yaml's)")
    add(
        "--archived",
        type=Path,
        help="serve the archives of this folder as they are: nothing is built or fetched",
    )
    add(
        "--weights",
        default="",
        help="a mounted folder of archives, or of a checkpoint, which is converted: served in place of the others; "
        "nothing is fetched",
    )
    add(
        "--name",
        default="",
        help="what a checkpoint of --weights is served as (default: its folder's name); archives have theirs",
    )
    add(
        "--run",
        type=Path,
        help="the folder to write to; besides it, only TMPDIR is written to (default: build/run/PORT)",
    )
    add(
        "--grace",
        type=float,
        default=state.GRACE_SECONDS,
        help="seconds that requests in flight get when the server is stopped (default: %(default)s)",
    )
    add(
        "--stop-delay",
        type=float,
        default=0.0,
        help="seconds between answering 'not ready' and refusing connections, for load balancers to notice "
        "(default: %(default)s)",
    )
    add(
        "--allocator",
        choices=allocator.NAMES,
        default="glibc",
        help="memory allocator of Java and the workers (default: %(default)s)",
    )
    add_server(made)
    add("--port", type=ports.number, default=8080, help="of the gateway (default: %(default)s)")
    add(
        "--address",
        type=IPv4Address,
        default=LOOPBACK,
        help="IPv4 address of the gateway; 0.0.0.0 accepts connections from the network (default: %(default)s)",
    )
    add("--tokens", type=Path, help="file of bearer tokens, one a line; requests without one are rejected")
    add(
        "--share",
        default="",
        help="what each address may send, without tokens: 'requests=5 audio=30', a second",
    )
    add("--tls", type=Path, help="folder of tls.crt and tls.key, PEM; plain HTTP without it")
    add("--cors", default="", help="origins of the web pages whose scripts may call, separated by spaces")
    add(
        "--page",
        choices=("on", "off"),
        default="on",
        help="whether browsers get a page to try a voice on at / (default: %(default)s)",
    )
    add(
        "--split",
        choices=("on", "off"),
        default="on",
        help="whether requests of many clips, and recordings, are answered in parts, between which others get their "
        "turn; without it there are no windows (default: %(default)s)",
    )
    add(
        "--recording-bytes",
        type=int,
        default=RECORDING_BYTES,
        help="most bytes of a recording that is answered in windows; four of them have to fit in TMPDIR "
        "(default: %(default)s)",
    )
    add("--metrics-port", type=ports.number_or_free, default=0, help="for Prometheus; 0 chooses a free port")
    add(
        "--metrics-address",
        type=IPv4Address,
        default=LOOPBACK,
        help="IPv4 address of the metrics port (default: %(default)s)",
    )
    add(
        "--health-route",
        type=aliases.route,
        default="",
        help="one more path that answers as /v2/health/ready",
    )
    add(
        "--predict-route",
        type=aliases.route,
        default="",
        help="one more path for clips to the first model, as /invocations",
    )
    add("--otlp", default="", help="host:port of an OpenTelemetry collector, OTLP over HTTP")
    add(
        "--container",
        nargs="?",
        const="",
        choices=[
            "",
            "serve",
        ],  # the word that SageMaker adds to the entrypoint, of which this is the last option
        metavar="serve",
        help="take from the environment what the cloud platforms of docs/deploy-clouds.md give; options come first",
    )
    return made


def add_server(parser: argparse.ArgumentParser) -> None:
    """--server, for commands that start one or build for one."""
    parser.add_argument(
        "--server",
        choices=model_servers.NAMES,
        default=model_servers.DEFAULT.name,
        help="the model server behind the gateway (default: %(default)s)",
    )


def parse(words: Sequence[str], environment: Mapping[str, str]) -> argparse.Namespace:
    """The options of a command line and, in a container, of its platform, which is said aloud."""
    args = parser().parse_args(words)
    if args.container is None:
        return args
    given = platforms.found(args.container, environment)
    for each in given:
        say(each.text)
    return parser().parse_args([*platforms.options(given), *words])


def gateway_options(args: argparse.Namespace) -> GatewayOptions:
    """What was given for the gateway; every file that it names is read and checked here.

    Raises:
        BundleError: says which variable is wrong, and what is allowed.
    """
    if args.metrics_port == args.port:
        raise BundleError(f"METRICS_PORT={args.port} is the same as PORT=: choose another for one of them")
    if args.share and args.tokens:
        raise BundleError("SHARE= is for callers without tokens: the file of TOKENS= has a share a token")
    return GatewayOptions(
        port=args.port,
        address=str(args.address),
        metrics_port=args.metrics_port or ports.free(1)[0],
        metrics_address=str(args.metrics_address),
        certificate=tls.read(args.tls) if args.tls else None,
        tokens=tokens.read(args.tokens) if args.tokens else None,
        share=shares.read(args.share),
        origins=cors.read(args.cors),
        page=args.page == "on",
        split=args.split == "on",
        recording_bytes=args.recording_bytes,
        collector=tracing.read(args.otlp),
        health_routes=(args.health_route,) if args.health_route else (),
        predict_routes=(args.predict_route,) if args.predict_route else (),
    )
