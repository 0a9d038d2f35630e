"""Real servers for end-to-end tests. Every process they start is ended by its id, and the ports are free ones."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from bundle import archive, ports, sources
from bundle.gateway import Gateway
from bundle.torchserve import TorchServe

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="session")
def demo_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model store that holds demo.mar, freshly built."""
    store = tmp_path_factory.mktemp("model_store")
    archive.build(sources.resolve("demo", root=ROOT / "models"), store)
    return store


@pytest.fixture(scope="session")
def server(demo_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TorchServe]:
    """TorchServe with the demo model, every worker READY, shared by all tests of the session.

    `.url`, `.management_url`, `.metrics_url`, `.grpc` (host:port), `.worker_pids()`, `.logs` (a folder with
    access_log.log, model_log.log and ts_log.log), `.describe("demo")`. A test that harms the server starts its own.
    """
    with TorchServe(demo_store, ["demo"], tmp_path_factory.mktemp("run")) as running:
        running.start()
        running.wait_ready()
        yield running


@pytest.fixture(scope="session")
def gateway(server: TorchServe) -> Iterator[Gateway]:
    """The gateway in front of `server`; `.url` is its base address, HTTP and gRPC alike."""
    with Gateway(server, ports.free(1)[0], response_timeout=120) as running:
        running.start()
        yield running


@pytest.fixture(scope="session")
def stub_archive(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., None]:
    """Build `store/NAME.mar` around stub_handler.py; keywords go into its model-config.yaml."""

    def build(store: Path, name: str, **config: Any) -> None:
        settings = {
            "minWorkers": 1,
            "maxWorkers": 1,
            "batchSize": 1,
            "maxBatchDelay": 5,
            "responseTimeout": 30,
        }
        config_file = tmp_path_factory.mktemp("stub") / f"{name}.yaml"
        config_file.write_text(yaml.safe_dump(settings | config))
        command = [sys.executable, "-W", "ignore", "-m", "model_archiver.model_packaging", "--force"]
        command += ["--model-name", name, "--version", "1.0", "--config-file", str(config_file)]
        command += [
            "--handler",
            str(Path(__file__).with_name("stub_handler.py")),
            "--export-path",
            str(store),
        ]
        subprocess.run(command, check=True)

    return build


@pytest.fixture
def stub_store(tmp_path: Path) -> Path:
    """An empty model store of one test, in a folder whose name needs quoting everywhere."""
    store = tmp_path / "model store, é"
    store.mkdir()
    return store


@pytest.fixture
def build_stub(stub_store: Path, stub_archive: Callable[..., None]) -> Callable[..., None]:
    """Build NAME.mar around stub_handler.py into `stub_store`; keywords go into its model-config.yaml."""
    return partial(stub_archive, stub_store)
