"""`make serve SERVER=`, and each command that works with it, on another model server than the default.

What each does on TorchServe has a file of its own; here is shown that SERVER= changes nothing of it. One server has
two models, tokens, TLS, CORS and a metrics port. The tests use it in order, and the last but one stops it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from bundle.samples import samples
from serving import model_servers, state
from serving.host import ports, processes
from serving.host.leash import Leashed
from tests.certificates import issue
from tests.e2e.started import CLIPS, ROOT, TWIN, Serve, copy_checkpoint

pytestmark = pytest.mark.e2e

TOKEN = "a-token-of-this-server-0123456789"
ORIGIN = "https://page.example"
SPEAKERS = {sample.path: sample.speaker for sample in samples(ROOT / "models" / "demo" / "samples")}
CLIP, SPEAKER = next(iter(SPEAKERS.items()))


@dataclass
class Running:
    """The server, and the commands that are run beside it."""

    name: str
    folder: Path
    serve: Serve
    metrics: int
    environment: dict[str, str]

    def ask(
        self, path: str = "/predictions/demo", body: bytes | None = None, **headers: str
    ) -> requests.Response:
        method = "GET" if body is None else "POST"
        given = {"Authorization": f"Bearer {TOKEN}"} | {k.replace("_", "-"): v for k, v in headers.items()}
        return requests.request(
            method,
            f"https://127.0.0.1:{self.serve.port}{path}",
            data=body,
            headers=given,
            timeout=600,
            verify=str(self.folder / "tls" / "ca.crt"),
        )

    def run(self, *arguments: str) -> str:
        """What a command of ours says that ends well."""
        command = [sys.executable, "-m", *arguments]
        ran = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=600
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout + ran.stderr


@pytest.fixture(scope="module")
def name(request: pytest.FixtureRequest) -> str:
    given: str = request.config.getoption("--server")
    if given == model_servers.DEFAULT.name:
        pytest.skip("the default server has tests of its own: make test SERVER=triton runs these")
    return given


@pytest.fixture(scope="module")
def running(name: str, demo_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("checkout")
    copy_checkpoint(demo_checkpoint, folder)
    (folder / "models").symlink_to(ROOT / "models")
    (folder / ".triton").symlink_to(ROOT / ".triton")
    (folder / "twin").mkdir()
    (folder / "twin" / "model.yaml").write_text(TWIN)
    issue(folder / "tls")
    tokens = folder / "tokens"
    tokens.touch(0o600)
    tokens.write_text(f"{TOKEN}\n")
    paths = os.pathsep.join((str(ROOT), str(ROOT / "handler")))
    environment = {**os.environ, "PYTHONPATH": paths, "SPEAKER_ID_TOKEN": TOKEN}
    environment.pop("REQUESTS_CA_BUNDLE", None)  # the commands trust what the server says
    port, metrics = ports.free(2)
    command = [sys.executable, "-m", "serving.serve", "--server", name, "--models", "demo ./twin:2.0"]
    command += ["--tokens", "tokens", "--tls", "tls", "--cors", ORIGIN]
    command += ["--port", str(port), "--metrics-port", str(metrics), "--grace", "30"]
    with (folder / "said.txt").open("wb") as said:
        process = Leashed(command, cwd=folder, env=environment, stdout=said, stderr=said)
    serve = Serve(process, folder / "said.txt", folder / state.RUN / str(port), port)
    try:
        serve.wait_for(lambda: "ready: twin" in serve.said)
        yield Running(name, folder, serve, metrics, environment)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        process.wait(600)
        process.release()
        processes.end(processes.matching(lambda argument: str(folder) in argument), grace=1.0)


def test_several_models_are_served_each_under_its_name_and_version(running: Running) -> None:
    found = re.findall(r"^ready: (\w+ [\d.]+)", running.serve.said, re.MULTILINE)
    assert found == ["demo 2.0", "twin 2.0"]
    answers = [
        running.ask(f"/predictions/{path}", CLIP.read_bytes()) for path in ("demo", "twin", "twin/2.0")
    ]
    assert [answer.headers["x-model-version"] for answer in answers] == ["2.0", "2.0", "2.0"]
    assert len({answer.text for answer in answers}) == 1
    assert answers[0].json()[0]["label"] == SPEAKER


def test_nobody_is_served_without_a_token(running: Running) -> None:
    assert (
        running.ask(body=b"abc", Authorization="Bearer of-another-0123456789").json()["code"]
        == "unauthorized"
    )


def test_a_page_of_a_named_origin_may_call(running: Running) -> None:
    answer = running.ask(body=CLIP.read_bytes(), Origin=ORIGIN)
    assert answer.headers["access-control-allow-origin"] == ORIGIN


def test_a_request_that_would_wait_past_its_time_is_not_processed(running: Running) -> None:
    answer = running.ask(body=CLIP.read_bytes(), X_Request_Timeout="0.000001")
    assert (answer.status_code, answer.json()["code"]) == (504, "deadline_exceeded")


def test_a_browser_gets_the_page_and_anybody_the_description(running: Running) -> None:
    assert "<!doctype html>" in running.ask("/", Accept="text/html").text.lower()
    assert [model["name"] for model in running.ask("/page.json").json()["models"]] == ["demo", "twin"]
    assert running.ask("/openapi.json").json()["openapi"].startswith("3.1")


def test_the_client_asks_the_server_that_runs(running: Running) -> None:
    said = running.run("serving.identify", "--model", "demo", "--", *map(str, CLIPS))
    assert [path.name for path in CLIPS if path.name not in said] == []


def test_the_load_test_finds_it(running: Running) -> None:
    options = ("--rate", "5", "--duration", "2", "--warmup", "0", "--clips", str(CLIP.parent))
    running.run("measure.loadtest", "run", "--server", running.name, "--model", "demo", *options)
    report = json.loads((running.folder / "reports" / "report.json").read_text())
    assert (report["result"]["requests"], report["result"]["errors"]) == (10, {})


def test_the_evaluation_counts_every_sample_as_right(running: Running) -> None:
    said = running.run("measure.evaluation", "--server", running.name, "--limit", "3", "--model", "demo")
    assert "3 of 3" in said


def test_the_requests_are_counted_with_the_names_that_dashboard_and_alerts_use(running: Running) -> None:
    scrape = requests.get(f"http://127.0.0.1:{running.metrics}/metrics", timeout=600).text
    counted: dict[Any, float] = {
        (sample.labels["model"], sample.labels["code"]): sample.value
        for family in text_string_to_metric_families(scrape)
        for sample in family.samples
        if sample.name == "speaker_id_requests_total"
    }
    assert counted["demo", "ok"] >= len(CLIPS)
    assert counted["twin", "ok"] >= 2
    assert counted["demo", "deadline_exceeded"] == 1


def test_another_version_takes_the_place_of_the_one_that_is_served(running: Running) -> None:
    running.run("serving.rollout", "--model", "demo", "--version", "3.0")
    answer = running.ask(body=CLIP.read_bytes())
    assert (answer.headers["x-model-version"], answer.json()[0]["label"]) == ("3.0", SPEAKER)


def test_a_stop_leaves_nothing(running: Running) -> None:
    family, temp = running.serve.belongings()
    running.run("serving.stop")
    running.serve.process.wait(600)
    running.serve.assert_gone(family, temp)


def test_the_demo_is_right_about_every_clip(running: Running) -> None:
    before = set((running.folder / state.RUN).iterdir())
    said = running.run("serving.demo", "--server", running.name)
    assert f"{len(CLIPS) + 1} of {len(CLIPS) + 1} right" in said, "and the stranger"
    assert set((running.folder / state.RUN).iterdir()) == before
