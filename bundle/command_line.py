"""Options of commands that make starts: an error is one line, in make's own terms."""

from __future__ import annotations

import argparse
import os
from typing import Any, NoReturn

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
