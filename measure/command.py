"""What the measuring commands share: progress, signals, errors as one line, and the model that is measured."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from rich.console import Console

from bundle import BundleError
from measure import ROOT, MeasureError, machine
from serving.signals import SIGNALS

FULL_SIZE = Path("build/full-size")
WIDTH = 160  # of tables where there is no terminal to ask
Say = Callable[[str], None]
Given = ParamSpec("Given")
Result = TypeVar("Result")


def guarded(name: str, work: Callable[[], int | None], failed: int = 1, hint: str = "") -> int:
    """Do the work; gives the exit code: its own, `failed` after an error, 130 after a signal, which `hint` follows.

    Signals interrupt the work, so that what it started is ended; errors are one line on the terminal.
    """
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler)
    try:
        return work() or 0
    except (BundleError, MeasureError) as exc:
        print(f"{name}: {exc}", file=sys.stderr)
        return failed
    except OSError as exc:
        file = f": {exc.filename}" if exc.filename else ""
        print(f"{name}: {exc.strerror or exc}{file}", file=sys.stderr)
        return failed
    except KeyboardInterrupt:
        print(f"{name}: interrupted{hint}", file=sys.stderr)
        return 130


def console() -> Console:
    """The terminal; where there is none to ask, wide enough for tables."""
    terminal = Console(highlight=False)
    return terminal if terminal.is_terminal else Console(highlight=False, width=WIDTH)


def progress() -> Say:
    """Prints lines, each with the seconds since now."""
    console, started = Console(highlight=False, soft_wrap=True), time.monotonic()
    return lambda text: console.print(f"{time.monotonic() - started:5.0f} s  {text}", markup=False)


def parser(name: str, description: str, results: Path | None = None) -> argparse.ArgumentParser:
    """Of `python -m NAME`; with --results where a folder is given, which is its default."""
    made = argparse.ArgumentParser(prog=f"python -m {name}", description=description)
    if results:
        made.add_argument("--results", type=Path, default=results, help="folder of the results (%(default)s)")
    return made


def parsed(
    parser: argparse.ArgumentParser, arguments: Sequence[str] | None, quick: Mapping[str, Any]
) -> argparse.Namespace:
    """The options of a command that records in the repository, with `no_record`.

    Args:
        parser: of its other options; --quick and --no-record are added.
        arguments: of the command line.
        quick: what --quick sets, which records nothing.
    """
    once = "one short round, which shows that it runs; nothing is recorded"
    parser.add_argument("--quick", action="store_true", help=once)
    parser.add_argument("--no-record", action="store_true", help="write neither results nor page")
    options = parser.parse_args(arguments)
    if options.quick:
        vars(options).update(quick, no_record=True)
    del options.quick
    return options


def names(text: str) -> list[str]:
    """The type of an option that takes names with commas between."""
    return text.split(",")


def add_run_options(parser: argparse.ArgumentParser, quick: str) -> None:
    """--model, --quick and --results, as `model`, `shared` and `folder` read them."""
    parser.add_argument(
        "--model", help="as MODEL= of make serve (default: the demo model widened to full size)"
    )
    parser.add_argument("--quick", action="store_true", help=f"try the harness: demo model, {quick}")
    parser.add_argument("--results", type=Path, help="folder to write to (default: the committed results)")


def add_processor_option(option: Callable[..., object]) -> None:
    """--processor, as `hold` reads it, by what adds options to the parser: argparse's, or pytest's."""
    option(
        "--processor",
        choices=("own", "avx2"),
        default="own",
        help="avx2: this one, on x86-64, without AVX-512, bf16 and what cannot be held to that (%(default)s)",
    )


def hold(processor: str) -> None:
    """Hold this process, and those that it starts, to a processor's instructions; before torch is imported."""
    if processor == "avx2":
        os.environ |= machine.AVX2


def folder(chosen: argparse.Namespace, results: Path, build: Path) -> Path:
    """Where results go: those of a quick run never to the committed ones."""
    return chosen.results or (build / "quick" if chosen.quick else results)


def shared(
    chosen: argparse.Namespace, began: Mapping[str, Any], clips: str, complete: bool
) -> dict[str, Any]:
    """What all rows of a run have in common: the columns of `results.Measurement`.

    Args:
        began: `machine.provenance` of the run's beginning.
    """
    model = chosen.model or ("demo" if chosen.quick else "demo widened to wav2vec2-base's shape")
    complete = complete and not chosen.quick
    return {"model": model, "clips": clips, "run": began["date"], "complete": complete, **began["machine"]}


def written(folder: Path, shared: Mapping[str, Any]) -> str:
    return f"wrote {folder}" + (
        "" if shared["complete"] else "; the run is not complete: no report will quote it"
    )


def model(chosen: argparse.Namespace, say: Say) -> str:
    """What to resolve: the model asked for, the demo, or the demo widened."""
    if chosen.model or chosen.quick:
        return chosen.model or "demo"
    return widened(say)


def widened(say: Say) -> str:
    """Make the demo model wav2vec2-base's size; gives what to resolve.

    Raises:
        MeasureError: says why that failed.
    """
    say(f"widening the demo model to full size: {FULL_SIZE}")
    command = [sys.executable, "-m", "training.widen", str(FULL_SIZE)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        raise MeasureError(f"training.widen failed: {last_line(done.stderr)}")
    return f"./{FULL_SIZE}"


def apart(function: Callable[Given, Result], *given: Given.args, **named: Given.kwargs) -> Result:
    """Call the function in a process of its own, whose memory and threads end with it."""
    with process() as pool:
        return pool.submit(function, *given, **named).result()


def process() -> ProcessPoolExecutor:
    """One process, a fresh interpreter that starts with the environment of its first call; no warnings from it."""
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), warnings.simplefilter, ("ignore",))


def last_line(text: str) -> str:
    """Where programs give the reason for which they ended."""
    return (text.strip().splitlines() or ["it gave no reason"])[-1]
