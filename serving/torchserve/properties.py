"""config.properties for one running server: the shipped file with addresses, ports and store filled in."""

from __future__ import annotations

import re
from pathlib import Path

from serving.host.ports import LOOPBACK
from serving.torchserve.ports import Ports


def render(shipped: str, ports: Ports, store: Path, management: Path, metrics: Path) -> str:
    """The text of config.properties for one server.

    Args:
        shipped: the text as it stands in the repository.
        ports: the ports to listen on.
        store: `allowed_urls` is narrowed to the archives in this folder.
        management: path of the management API's socket. It must be in the owner's private folder: registering models,
            which is off in the shipped text, is on there.
        metrics: the file that declares the metrics.

    Raises:
        ValueError: the shipped text lacks a setting that must be replaced.
    """
    own = {
        "inference_address": f"http://{LOOPBACK}:{ports.inference}",
        "management_address": f"unix:{management}",
        "enable_model_api": "true",
        "metrics_address": f"http://{LOOPBACK}:{ports.metrics}",
        "grpc_inference_address": LOOPBACK,
        "grpc_inference_port": str(ports.grpc_inference),
        "grpc_management_address": LOOPBACK,
        "grpc_management_port": str(ports.grpc_management),
        "allowed_urls": archives_of(store),
    }
    for key, value in own.items():
        parts = re.split(rf"^{key}=.*$", shipped, flags=re.MULTILINE)
        if len(parts) != 2:
            raise ValueError(f"config.properties sets {key} {len(parts) - 1} times; it must be set once")
        shipped = f"{key}={escaped(value)}".join(parts)
    return f"{shipped}\nmetrics_config={escaped(str(metrics))}\n"


def archives_of(store: Path) -> str:
    """A Java regular expression for the URLs of the archives directly in a folder.

    TorchServe splits the setting at commas before it compiles the parts, so a comma in the path is escaped.
    """
    folder = re.escape(str(store)).replace(",", r"\x2c")
    return f"file://{folder}/[^/]+[.]mar"


def escaped(value: str) -> str:
    """A value escaped for java.util.Properties: backslashes doubled, characters beyond ASCII as \\uXXXX."""
    doubled = value.replace("\\", "\\\\")
    utf16 = doubled.encode("utf-16-be")
    units = [int.from_bytes(utf16[i : i + 2], "big") for i in range(0, len(utf16), 2)]
    return "".join(chr(unit) if unit < 128 else f"\\u{unit:04x}" for unit in units)
