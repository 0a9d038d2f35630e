"""Each cloud platform's side, played against the image's entrypoint: its start, its routes, its stop under load.

Around the stub, which loads at once. `make image-check` plays them against the image, with the model, in a container.
"""

from __future__ import annotations

import base64
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from deploy.docker.check.clouds import SIDES, Side
from deploy.docker.check.router import CALLERS, stop_under_load
from serving.gateway.envoy import Gateway
from serving.host import ports
from serving.host.leash import Leashed
from serving.host.ports import LOOPBACK
from serving.platforms import KILL_SECONDS
from tests.e2e.started import CLIPS, STUB, Run, Serve
from tests.unit.deploy import dockerfile

pytestmark = pytest.mark.e2e


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
        _, *words = _after(dockerfile.server().words("ENTRYPOINT"))
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


@pytest.mark.parametrize("name", [name for name, side in SIDES.items() if not side.repository])
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
