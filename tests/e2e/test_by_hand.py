"""A stock TorchServe, started by hand with our archive and our config.properties: it works from any folder."""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path

import pytest
import requests

from bundle import java
from bundle.shipped import SHIPPED
from serving.host import ports
from serving.host.leash import Leashed
from serving.host.ports import LOOPBACK
from serving.torchserve.ports import Ports
from tests.e2e.started import CLIPS

pytestmark = pytest.mark.e2e


def with_ports(shipped: str, free: Ports, management: int) -> str:
    """The file as it is shipped, but that tests may run side by side."""
    own = {
        "inference_address": f"http://{LOOPBACK}:{free.inference}",
        "management_address": f"http://{LOOPBACK}:{management}",
        "metrics_address": f"http://{LOOPBACK}:{free.metrics}",
        "grpc_inference_port": str(free.grpc_inference),
        "grpc_management_port": str(free.grpc_management),
    }
    for key, value in own.items():
        shipped, found = re.subn(rf"^{key}=.*$", f"{key}={value}", shipped, flags=re.MULTILINE)
        assert found == 1
    return shipped


def test_torchserve_with_our_archive_and_settings_works_from_any_folder(
    demo_store: Path, tmp_path: Path, temp: Path
) -> None:
    runtime, free, (management,) = java.find(), Ports.free(), ports.free(1)
    assert runtime
    config = tmp_path / "config.properties"
    config.write_text(with_ports(SHIPPED.read_text(), free, management))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    command = [str(Path(sys.prefix) / "bin" / "torchserve"), "--start", "--foreground", "--ncs"]
    command += ["--ts-config", str(config), "--model-store", str(demo_store), "--models", "demo=demo.mar"]
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    home = {"JAVA_HOME": str(runtime.parent.parent), "TEMP": str(temp)}
    path = f"{Path(sys.prefix) / 'bin'}{os.pathsep}{os.environ['PATH']}"  # it takes the first `python`
    said = tmp_path / "said"
    with said.open("wb") as output:
        server = Leashed(
            command, cwd=elsewhere, env=inherited | home | {"PATH": path}, stdout=output, stderr=output
        )
    try:
        assert answer(f"http://{LOOPBACK}:{free.inference}", server, said) == 200
    finally:
        server.kill()  # that of the wrapper, which passes no signal on to Java
        server.wait()
        server.release()
    assert "Backend worker process died" not in said.read_text()


def answer(url: str, server: Leashed, said: Path) -> int:
    """The status of the first answer that is no "not yet"."""
    deadline = time.monotonic() + 600
    while True:
        assert server.poll() is None, said.read_text()
        assert time.monotonic() < deadline, said.read_text()
        try:
            status = requests.post(f"{url}/predictions/demo", CLIPS[0].read_bytes(), timeout=600).status_code
        except requests.ConnectionError:
            status = 503
        if status not in (404, 503):  # not loaded yet, no worker yet
            return status
        time.sleep(0.2)
