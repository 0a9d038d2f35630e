"""`python -m measure.openset`: measure a model of voices on people that it never heard, and write the results page."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from bundle import archive
from bundle.command_line import Parser
from bundle.sources import MODELS, resolve
from measure import command
from measure.machine import provenance
from measure.openset import cuts, page
from measure.openset.answers import Models
from measure.openset.identification import GALLERIES
from measure.openset.study import study
from training import WORK_DIR

THREADS = 2


def main(arguments: list[str] | None = None) -> int:
    parser = Parser(
        prog="python -m measure.openset", description="Measure how voices are told from strangers."
    )
    parser.add_argument("--work", type=Path, default=WORK_DIR, help="what `training` built (%(default)s)")
    parser.add_argument("--model", default="demo", help="a folder below --models (%(default)s)")
    parser.add_argument("--models", type=Path, default=MODELS, help="(%(default)s)")
    options = parser.parse_args(arguments)

    def work() -> None:
        torch.set_num_threads(THREADS)
        spec = resolve(options.model, root=options.models)
        found = study(cuts.load(options.work), Models(archive.prepare(spec)))
        page.record({"model": spec.name, "galleries": GALLERIES, "provenance": provenance(), **found})

    return command.guarded("measure.openset", work)


if __name__ == "__main__":
    sys.exit(main())
