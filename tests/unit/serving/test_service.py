"""In which order the parts of a server are started."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bundle import sources
from serving import model_servers
from serving.gateway import envoy
from serving.gateway.options import GatewayOptions
from serving.host import ports
from serving.model_server import ServerError
from serving.service import Service

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def begun() -> list[str]:
    """What was begun, in order."""
    return []


@pytest.fixture(params=["torchserve"])
def service(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun: list[str]
) -> Service:
    """A server whose parts only note what they are asked for."""
    demo = sources.resolve("demo", root=ROOT / "models")
    chosen = model_servers.Chosen(request.param)
    made = Service([demo], tmp_path, tmp_path / "run", GatewayOptions(ports.free(1)[0]), chosen)

    def note(part: str, *names: str) -> None:
        for name in names:
            said = f"{part}.{name}"
            monkeypatch.setattr(getattr(made, part), name, lambda *_, said=said, **__: begun.append(said))

    note("server", "check_store", "prepare", "start", "stop", "wait_ready")
    note("gateway", "launch", "wait_ready")
    note("exporter", "start", "stop")
    made.server.temp = tmp_path
    watch: Any = SimpleNamespace(ready=True, hurry=lambda: None, stop=lambda: None)
    made.gateway.watch = watch
    return made


def test_the_model_server_is_started_first_and_the_gateway_while_it_starts(
    service: Service, begun: list[str]
) -> None:
    service.start()
    service.stop(0.0)
    assert begun[:5] == [
        "server.prepare",
        "server.start",
        "gateway.launch",
        "gateway.wait_ready",
        "server.wait_ready",
    ]


@pytest.mark.parametrize("service", ["triton"], indirect=True)
def test_one_that_unpacks_archives_first_is_started_once_probes_are_answered(
    service: Service, begun: list[str]
) -> None:
    service.start()
    service.stop(0.0)
    assert begun[:3] == ["server.prepare", "gateway.launch", "server.start"]


def test_a_mounted_checkpoint_is_converted_once_probes_are_answered(
    service: Service, begun: list[str]
) -> None:
    service.convert = lambda _: begun.append("convert")
    service.start()
    service.stop(0.0)
    assert begun[:6] == [
        "server.prepare",
        "gateway.launch",
        "gateway.wait_ready",
        "convert",
        "server.check_store",
        "server.start",
    ]


def test_without_envoy_nothing_is_started(
    service: Service, begun: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> Path:
        raise ServerError("no Envoy")

    monkeypatch.setattr(envoy, "executable", missing)
    with pytest.raises(ServerError, match="no Envoy"):
        service.start()
    service.stop(0.0)
    assert begun == ["exporter.stop", "server.stop"]


@pytest.mark.parametrize("name", model_servers.NAMES)
def test_a_model_server_has_one_name(name: str) -> None:
    assert model_servers.of(name).name == name
