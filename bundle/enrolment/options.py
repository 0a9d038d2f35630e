"""What the commands on recordings of voices take alike."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError

from bundle import BundleError, archive, rates

FILES = Path("build/galleries")  # a folder a model, of what these commands write


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default="demo", help="a name under models/, or a checkpoint's folder")
    parser.add_argument("--voices", type=Path, help="folder of a folder of recordings a voice, or a label")
    parser.add_argument("--strangers", type=Path, help="folder of recordings of people who are none of these")
    parser.add_argument(
        "--fpir", type=rate, default=0.01, help="strangers' clips that may get a name (default: 1%%)"
    )
    parser.add_argument("--out", type=Path, help=f"folder of the file; default: {FILES}/NAME")
    parser.add_argument(
        "--checkpoints",
        type=Path,
        default=archive.CHECKPOINTS,
        help="where converted checkpoints are kept (default: %(default)s)",
    )


def rate(text: str) -> float:
    try:
        return rates.rate(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc


def required(value: Path | None, variable: str, target: str, what: str) -> Path:
    """A folder that was given; raises BundleError if it was not."""
    if value is None:
        raise BundleError(f"{variable} is missing: say whose, as in make {target} {variable}=folder, {what}")
    return value


def written(path: Path, write: Callable[[Path], None]) -> None:
    """Write a file below a folder that need not exist; raises BundleError if it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path)
    except (OSError, SafetensorError) as exc:  # the second is how safetensors reports a full disk
        raise BundleError(f"{path} cannot be written: {exc}") from exc
