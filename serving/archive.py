"""`make archive`: python -m serving.archive --model demo. In `serving`, because it checks what is running."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bundle import archive, store
from bundle.command_line import Parser, exit_status
from bundle.sources import resolve, with_gallery, with_name
from serving import model_servers, state
from serving.arguments import add_server
from serving.rollout import journal


def main(arguments: list[str] | None = None) -> int:
    parser = Parser(prog="python -m serving.archive", description="Build a model archive (.mar).")
    parser.add_argument(
        "--model", default="demo", help="a name under models/, a hub id, or a checkpoint's folder"
    )
    parser.add_argument("--revision", help="commit, branch or tag of a hub model")
    parser.add_argument(
        "--gallery", default="", help="enrolled voices, what `make enrol` wrote (default: model.yaml's)"
    )
    parser.add_argument("--name", default="", help="what it is served as (default: the folder's name)")
    parser.add_argument("--store", type=Path, default=store.STORE, help="model store (default: %(default)s)")
    parser.add_argument(
        "--checkpoints",
        type=Path,
        default=archive.CHECKPOINTS,
        help="where converted checkpoints are kept (default: %(default)s)",
    )
    add_server(parser)
    parser.add_argument("--calibration", type=Path, help="folder of clips to check a precision below fp32 on")
    chosen = parser.parse_args(arguments)
    return exit_status("error", lambda: build(chosen), chosen.store)


def build(chosen: argparse.Namespace) -> None:
    spec = with_name(resolve(chosen.model, chosen.revision), chosen.name, f"--name {chosen.name}")
    spec = with_gallery(spec, chosen.gallery)
    journal.refuse(state.RUN, spec.name)
    built = archive.build(spec, chosen.store, checkpoints=chosen.checkpoints, calibration=chosen.calibration)
    store.forget(chosen.store, spec.name)  # an archive that is built by hand is served next
    model_servers.of(chosen.server).export(built)


if __name__ == "__main__":
    sys.exit(main())
