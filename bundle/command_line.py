"""Options of commands that make starts: an error is one line, in make's own terms."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from bundle import BundleError
from bundle.variables import ARGS_GIVEN


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors name make's variable and print no usage. bundle/variables.py has checked the other
    variables before, so an error here is in ARGS=."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> argparse.Namespace:  # type: ignore[override]
        parsed: argparse.Namespace = super().parse_args(args, namespace)
        os.environ.pop(ARGS_GIVEN, None)  # later errors need not be in it
        return parsed

    def error(self, message: str) -> NoReturn:
        given = os.environ.get(ARGS_GIVEN)
        if given:
            self.exit(2, f"ARGS={given} is not allowed: {message} (ARGS=--help lists what is allowed)\n")
        self.exit(2, f"{self.prog}: {message} (--help lists what is allowed)\n")


def exit_status(prefix: str, act: Callable[[], object], place: Path | None = None) -> int:
    """Do what a command is for; its exit status, after one line on stderr if that failed.

    Args:
        prefix: begins the line.
        act: may raise BundleError.
        place: the folder that it writes to, where it may raise OSError too; an error that names no file is said of it.
    """
    try:
        act()
    except BundleError as exc:
        print(f"{prefix}: {exc}", file=sys.stderr)
        return 1
    except OSError as exc:
        if place is None:
            raise
        print(f"{prefix}: {exc.strerror or exc}: {exc.filename or place}", file=sys.stderr)
        return 1
    return 0
