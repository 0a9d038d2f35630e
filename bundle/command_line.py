"""The options of commands that make starts: what is wrong with them is one line, in make's own terms."""

from __future__ import annotations

import argparse
import os
from typing import Any, NoReturn

from bundle.variables import ARGS_GIVEN


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that says which variable is wrong, and no usage: a variable of its own is checked before, by
    bundle/variables.py, so that what is wrong here was in ARGS=."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> argparse.Namespace:  # type: ignore[override]
        parsed: argparse.Namespace = super().parse_args(args, namespace)
        os.environ.pop(ARGS_GIVEN, None)  # what is found wrong from now on need not have been in it
        return parsed

    def error(self, message: str) -> NoReturn:
        given = os.environ.get(ARGS_GIVEN)
        if given:
            self.exit(2, f"ARGS={given} is not allowed: {message} (ARGS=--help lists what is)\n")
        self.exit(2, f"{self.prog}: {message} (--help lists what is allowed)\n")
