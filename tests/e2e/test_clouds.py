"""Each cloud platform's side, played against the image's entrypoint: its start, its routes, its stop under load.

Around the stub, which loads at once; Hugging Face's repository, which is converted, is in test_container.py.
"""

from __future__ import annotations

import base64
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests
import yaml

from deploy.docker.check import dockerfile
from serving.gateway.envoy import Gateway
from serving.host import ports
from serving.host.leash import Leashed
from serving.host.ports import LOOPBACK
from serving.platforms import KILL_SECONDS
from tests.e2e.router import CALLERS, stop_under_load
from tests.e2e.started import CLIPS, STUB, Run, Serve

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Side:
    """What a platform does.

    Attributes:
        health, predict: the paths that it asks.
        port: the variable that says where; the port is 8080 without one.
        argument: with which it starts the container.
        environment: its other variables; {mounted} stands for the folder of what it mounts.
        archive: where it mounts the model.
    """

    health: str
    predict: str
    port: str = ""
    argument: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    archive: str = ""


AZURE = yaml.safe_load((ROOT / "deploy/azureml/deployment.yaml").read_text())["environment"][
    "inference_config"
]
SIDES = {
    "sagemaker": Side("/ping", "/invocations", "SAGEMAKER_BIND_TO_PORT", ("serve",), archive="opt/ml/model"),
    "vertex": Side(
        "/v1/endpoints/1/deployedModels/2",
        "/v1/endpoints/1/deployedModels/2:predict",
        "AIP_HTTP_PORT",
        environment={
            "AIP_HEALTH_ROUTE": "/v1/endpoints/1/deployedModels/2",
            "AIP_PREDICT_ROUTE": "/v1/endpoints/1/deployedModels/2:predict",
            "AIP_STORAGE_URI": "",
        },
    ),
    "azure": Side(
        AZURE["readiness_route"]["path"],
        AZURE["scoring_route"]["path"],
        environment={"AZUREML_MODEL_DIR": "{mounted}/var/azureml-app/azureml-models/voices/1"},
        archive="var/azureml-app/azureml-models/voices/1/demo",
    ),
}


@pytest.fixture
def container(
    run: Run, checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Side], Serve]]:
    """Start the image's ENTRYPOINT as a platform does, but on loopback and with folders of this test's own."""
    started: list[Leashed] = []

    def start(side: Side) -> Serve:
        mounted, store = checkout / "mounted", checkout / "model_store"
        mounted.mkdir()
        if side.archive:
            (mounted / side.archive).mkdir(parents=True)
            shutil.move(store / "stub.mar", mounted / side.archive)
        for name, value in side.environment.items():
            monkeypatch.setenv(name, value.format(mounted=mounted))
        port, metrics = ports.free(2)
        if side.port:
            monkeypatch.setenv(side.port, str(port))
        here = ["--address", LOOPBACK, "--metrics-port", str(metrics), "--run", str(checkout / "run")]
        here += [] if side.port else ["--port", str(port)]
        _, *words = _after(dockerfile.read(ROOT / "deploy/docker/Dockerfile", {})[-1].exec_form("ENTRYPOINT"))
        output = tmp_path / "said.txt"
        with output.open("wb") as log:
            command = [sys.executable, STUB, *words, *side.argument, *here]
            started.append(Leashed(command, cwd=checkout, stdout=log, stderr=subprocess.STDOUT))
        return Serve(started[-1], output, checkout / "run", port)

    yield start
    for each in started:
        each.terminate()
        each.wait(600)
        each.release()


def _after(words: list[str]) -> list[str]:
    """From the module on."""
    return words[words.index("serving.serve") :]


@pytest.mark.parametrize("name", SIDES)
def test_from_the_start_to_a_stop_under_load_nothing_is_lost(
    name: str, container: Callable[[Side], Serve]
) -> None:
    side = SIDES[name]
    running = container(side)

    def health() -> int:
        return running.get(side.health).status_code

    running.wait_for(lambda: ports.is_taken(running.port))
    assert health() == 503
    running.wait_for(lambda: health() == 200)
    running.wait_for(lambda: "\nready: " in running.said)

    statuses = stop_under_load(
        lambda: running.post(side.predict, b"sleep 0.2").status_code, health, running.process.terminate
    )
    assert running.process.wait(KILL_SECONDS) == 0
    assert len(statuses) > CALLERS
    assert set(statuses) == {200}
    assert "cut off" not in running.said


@pytest.mark.parametrize("path", ["/invocations", "/"])
def test_the_platforms_paths_take_every_form_of_the_model_s_own(gateway: Gateway, path: str) -> None:
    clip = CLIPS[0].read_bytes()
    text = base64.b64encode(clip).decode()
    for sent in (
        {"data": clip, "headers": {"content-type": "audio/flac"}},
        {"json": {"inputs": text, "parameters": {"top_k": 1}}},
        {"json": {"instances": [{"b64": text}, {"b64": text}], "parameters": {"top_k": 1}}},
        {"files": {"data": clip}},
    ):
        here = requests.post(gateway.url + path, timeout=600, **sent)
        there = requests.post(f"{gateway.url}/predictions/demo", timeout=600, **sent)
        assert (here.status_code, here.json()) == (200, there.json())
        if "instances" in sent.get("json", {}):
            assert [len(each) for each in here.json()["predictions"]] == [1, 1]


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/health", 200, None),
        ("HEAD", "/health", 200, None),
        ("POST", "/health", 405, "GET, HEAD"),
        ("GET", "/invocations", 405, "POST, PUT"),
        ("POST", "/health/", 405, "GET, HEAD"),
        ("POST", "/healthy", 404, None),
    ],
)
def test_another_method_is_told_which_are_served(
    gateway: Gateway, method: str, path: str, status: int, allow: str | None
) -> None:
    answer = requests.request(method, gateway.url + path, timeout=600)
    assert (answer.status_code, answer.headers.get("allow")) == (status, allow)
