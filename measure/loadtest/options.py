"""The command line."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from bundle.command_line import Parser
from measure import server
from measure.loadtest import arrivals
from measure.loadtest.capacity import MOST_STEPS
from measure.loadtest.target import GRPC, RAW


def duration(text: str) -> float:
    """30, 30s or 2m → seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([sm]?)", text.strip())
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration: write 30, 30s or 2m")
    return float(found[1]) * (60 if found[2] == "m" else 1)


def parser() -> argparse.ArgumentParser:
    made = Parser(
        prog="python -m measure.loadtest",
        description="How much traffic a server holds. --url may be a whole URL to post to.",
    )
    commands = made.add_subparsers(dest="command", required=True)
    shared = Parser(add_help=False)
    server.add_options(shared)
    option = shared.add_argument
    option("--revision", default="", help="of a hub model")
    several = "several, NAME or NAME:VERSION, with blanks between them; each request takes one at random"
    option("--models", default="", help=several)
    mix = "folder of audio files; the default mix is demo samples and VoxCeleb-like clips"
    option("--clips", default="", help=mix)
    option("--slo", default="", help="such as p99=2s,errors=0.1%%")
    option("--out", type=Path, default=Path("reports"), help="folder of the results (%(default)s)")
    forms = "raw, multipart:FIELD, json:TEXT with $AUDIO in it, binary:INPUT, grpc, grpc-v2 (%(default)s)"
    option("--form", default=RAW, help=forms)
    option("--grpc", dest="form", action="store_const", const=GRPC, help="TorchServe's inference API")
    option("--timeout", type=duration, default=60.0, help="seconds that an answer may take (60)")
    option("--seed", type=int, default=0, help="of arrivals, clips and their order (%(default)s)")

    recorded = Parser(add_help=False)
    keep = "keep the result in measure/loadtest/results and the docs"
    recorded.add_argument("--record", action="store_true", help=keep)
    run = commands.add_parser("run", parents=[shared], help="one rate, with a report")
    run.add_argument("--rate", type=float, default=5.0, help="requests a second (%(default)s)")
    run.add_argument("--duration", type=duration, default=30.0, help="30, 30s or 2m, after the warm-up (30)")
    run.add_argument("--warmup", type=duration, default=5.0, help="seconds, left out of the result (5)")
    run.add_argument("--shape", choices=arrivals.SHAPES, default="poisson")
    closed = "a closed loop instead: callers who wait for their answer"
    run.add_argument("--closed", type=int, metavar="CALLERS", help=closed)

    find = commands.add_parser("capacity", parents=[shared], help="the highest rate that meets the SLO")
    find.add_argument("--shape", choices=("poisson", "constant"), default="poisson")
    find.add_argument("--steps", type=int, default=MOST_STEPS, help="at most; bounds the time (%(default)s)")
    agree = "capacity by this generator and by k6: do they agree?"
    both = commands.add_parser("check", parents=[shared, recorded], help=agree)
    both.set_defaults(shape="constant", steps=MOST_STEPS)  # constant is k6's only kind
    more = "goodput at multiples of what a burst shows"
    over = commands.add_parser("overload", parents=[shared, recorded], help=more)
    over.add_argument("--duration", type=duration, default=20.0, help="of each multiple, measured (20)")
    over.set_defaults(shape="poisson")
    return made
