"""Other software in the environments that `make bench` made, for tests: nothing is installed here."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from measure.bench.environments import ENVIRONMENTS
from measure.command import apart
from measure.environment import STAMP


def beside(name: str, work: Callable[..., Any], *given: Any) -> Any:
    """What the work returns in a process that has the environment's packages; skips where they are not installed."""
    (*_, packages) = ["", *ENVIRONMENTS.glob(f"{name}/lib/python3.{sys.version_info.minor}/site-packages")]
    if not packages or not (ENVIRONMENTS / name / STAMP).is_file():
        pytest.skip(f"its packages are not installed: python -m measure.bench.environments {name}")
    return apart(_beside, str(packages), work, *given)


def _beside(packages: str, work: Callable[..., Any], *given: Any) -> Any:
    sys.path.insert(0, packages)
    return work(*given)
