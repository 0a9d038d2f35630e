"""Paths that stand for another of the gateway's own: those of cloud platforms, whose clients name no model.

requests.lua replaces them before anything else reads the path, so that readiness while draining, tokens, canaries, logs
and metrics know only what they stand for.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence

READINESS = "/v2/health/ready"
# Hugging Face Inference Endpoints' default; SageMaker's /ping is TorchServe's too, and needs none
HEALTH = ("/health",)
# SageMaker's, and that of Hugging Face's clients, who are given no path; GET / is not theirs
PREDICT = ("/invocations", "/")
# As Envoy leaves a path, which it normalises; and as Lua's strings have it, in ASCII
ROUTE = re.compile(r"/|(/(?!\.\.?(/|$))[\w.:~-]+)+/?", re.ASCII)


def route(path: str) -> str:
    """A path that a platform chooses, for argparse."""
    if path and not ROUTE.fullmatch(path):
        raise argparse.ArgumentTypeError(
            f"{path!r} is not a path of letters A-Z, digits and . : ~ _ - after each / (. and .. stand for other paths)"
        )
    return path.rstrip("/") or path[:1]


def table(model: str, health: Sequence[str] = (), predict: Sequence[str] = ()) -> dict[str, str]:
    """`METHOD /path`, or `/path` with the other methods, and what it stands for.

    Args:
        model: the one that clips are for.
        health, predict: more paths of either kind.
    """
    found: dict[str, str] = {}
    for paths, methods, meant in (
        ((*health, *HEALTH), ("GET", "HEAD"), READINESS),
        ((*predict, *PREDICT), ("POST", "PUT"), f"/predictions/{model}"),
    ):
        for path in paths:
            found |= {f"{method} {path}": meant for method in methods}
            if path != "/":  # which others share
                found.setdefault(path, meant)  # so that another method is told which are served
    return found
