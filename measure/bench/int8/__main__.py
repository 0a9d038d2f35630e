"""python -m measure.bench.int8 [--processor avx2]     writes int8.json and docs/results/benchmark.md"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bundle.archive import prepare
from bundle.sources import resolve
from measure import command, machine
from measure.bench import RESULTS
from measure.bench.int8 import page
from measure.bench.int8.encoders import agreement, whole
from measure.bench.int8.products import products
from measure.bench.team import environment
from measure.noise import check_quiet

CLIPS = 200  # for agreement


def main(arguments: Sequence[str] | None = None) -> int:
    parser = command.parser("measure.bench.int8", "Measure whether int8 is worth serving.", RESULTS)
    command.add_processor_option(parser.add_argument)
    parser.add_argument("--clips", type=int, default=CLIPS, help="for agreement (%(default)s)")
    chosen = parser.parse_args(arguments)
    return command.guarded("measure.bench.int8", lambda: run(chosen))


def run(chosen: argparse.Namespace) -> None:
    command.hold(chosen.processor)
    say, file = command.progress(), chosen.results / page.FILE
    described = machine.describe()
    check_quiet(say)
    full, demo = prepare(resolve(command.widened(say))), prepare(resolve("demo"))
    say("products")
    found: dict[str, Any] = {"machine": described.model_dump(), "products": alone(products, full, 1)}
    say("the whole encoder, in turns")
    found["whole"] = alone(whole, full, described.cores)
    say(f"int8 is {found['whole']['ratio']:.2f} times as fast")
    say(f"agreement on {chosen.clips} clips, twice")
    found["clips"] = chosen.clips
    found["agreement"] = {
        name: alone(agreement, folder, described.cores, chosen.clips)
        for name, folder in (("demo, as trained", demo), ("demo, widened", full))
    }
    everything = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    everything[described.cpu] = found
    print(page.PAGE.record(everything, page.table, file, RESULTS / page.FILE))


def alone(work: Callable[..., dict[str, Any]], folder: Path, threads: int, *more: int) -> dict[str, Any]:
    """What the work finds in a process of its own, with so many threads."""
    with environment({"OMP_NUM_THREADS": str(threads)}):
        return command.apart(work, folder, threads, *more)


if __name__ == "__main__":
    sys.exit(main())
