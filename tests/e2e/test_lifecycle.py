"""`make serve` from its start on: ready, traffic, faults."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import requests

from bundle.spec import ModelSpec
from serving import state
from serving.gateway.options import GatewayOptions
from serving.host import ports
from serving.host.ports import LOOPBACK
from serving.model_server import ServerError
from serving.service import Service
from tests.e2e.started import TWIN, Run, StartServe

pytestmark = pytest.mark.e2e


def is_java(process: psutil.Process) -> bool:
    return "org.pytorch.serve.ModelServer" in process.cmdline()


class TestServing:
    def test_the_ready_line_has_a_request_to_copy_and_its_real_answer(
        self, serve: StartServe, checkout: Path
    ) -> None:
        running = serve("-m", "serving.serve", "--model", "demo")
        found = re.search(
            r"^ready: demo.*DEMO.*\n\n  (curl -T \S+ \S+)\n  (\[.*\])\n", running.said, re.MULTILINE
        )
        assert found, running.said
        assert f"\npage to try a voice on: http://{LOOPBACK}:{running.port}/\nmetrics: " in running.said
        starting = re.findall(
            r"^starting, \d+ s: demo 2.0: 0 of 1 workers ready, (.*)$", running.said, re.MULTILINE
        )
        assert starting[0] == "importing its libraries"
        assert len(starting) >= 2  # one that lasts less than a look is missed
        command = found[1].split()
        again = subprocess.run(command, cwd=checkout, capture_output=True, text=True, timeout=600, check=True)
        answer = json.loads(again.stdout)
        assert answer == json.loads(found[2])
        # and while the real model is up: nothing about this voice is in any log
        running.process.terminate()
        running.process.wait(600)
        logs = {file.name: file.read_text("utf-8", "replace") for file in running.folder.rglob("*.log")}
        assert {"access_log.log", "model_log.log", "ts_log.log", "gateway_access.log"} <= logs.keys()
        told = [name for name, text in logs.items() for each in answer if each["label"] in text]
        assert told == []

    def test_several_models_are_served_each_under_its_name_and_version(
        self, serve: StartServe, checkout: Path
    ) -> None:
        (checkout / "twin").mkdir()
        (checkout / "twin" / "model.yaml").write_text(TWIN)
        running = serve("-m", "serving.serve", "--models", "demo ./twin:2.0")
        assert re.findall(r"^ready: (\w+ [\d.]+)", running.said, re.MULTILINE) == ["demo 2.0", "twin 2.0"]
        clip = next((checkout / "models" / "demo" / "samples").glob("*.flac")).read_bytes()
        url = f"http://{LOOPBACK}:{running.port}"
        headers = {"content-type": "application/octet-stream"}
        answers = {
            name: requests.post(f"{url}/predictions/{name}", clip, headers=headers, timeout=600)
            for name in ("demo", "twin", "twin/2.0")
        }
        assert len({answer.text for answer in answers.values()}) == 1
        assert answers["twin"].headers["x-model-version"] == "2.0"
        assert requests.get(f"{url}/v2/models/twin", timeout=600).json()["versions"] == ["2.0"]

    def test_identify_asks_the_server_that_runs_or_the_one_that_is_named(
        self, serve: StartServe, run: Run, checkout: Path
    ) -> None:
        (checkout / "clip.wav").write_bytes(b"abc")
        identify = ("-m", "serving.identify")
        assert run(*identify, "--", "clip.wav").returncode == 3
        first, second = serve(), serve()
        where = f"stub at http://{LOOPBACK}"
        latest = run(*identify, "--", "--top-k", "1", "clip.wav")
        assert latest.stderr.splitlines()[0] == f"identify: asking {where}:{second.port}, which runs here"
        assert (latest.returncode, "stub 1.000" in latest.stdout) == (0, True)
        named = run(*identify, "--port", str(first.port), "--model", "hub/stub", "--", "clip.wav")
        assert named.stderr.splitlines()[0] == f"identify: asking {where}:{first.port}, which runs here"
        elsewhere = run(
            *identify, "--url", f"http://{LOOPBACK}:{first.port}", "--model", "stub", "--", "clip.wav"
        )
        assert (elsewhere.returncode, elsewhere.stderr) == (0, "")
        other = run(*identify, "--model", "other", "--", "clip.wav")
        assert (other.returncode, other.stderr) == (
            3,
            f"identify: no server of other is running: these run: {where}:{second.port}; {where}:{first.port}\n",
        )

    def test_stop_with_a_port_ends_that_server_alone(self, serve: StartServe, run: Run) -> None:
        first, second = serve(), serve()
        assert [each.ask(b"abc").status_code for each in (first, second)] == [200, 200]
        assert run("-m", "serving.stop", "--port", str(first.port)).returncode == 0
        assert first.process.wait(600) == 0
        assert second.ask(b"abc").status_code == 200
        again = run("-m", "serving.stop", "--port", str(first.port))
        assert again.stdout == f"nothing is running on port {first.port}\n"

    def test_a_gateway_that_dies_ends_the_server_with_a_fault(self, serve: StartServe) -> None:
        running = serve()
        belongings = running.belongings()
        found = running.state()
        assert found
        assert found.gateway
        os.kill(found.gateway.pid, signal.SIGKILL)
        assert running.process.wait(600) == 1
        assert "serve: the gateway has ended" in running.said
        running.assert_gone(*belongings)

    def test_java_that_dies_is_503_for_its_requests_and_ends_the_server_with_a_fault(
        self, serve: StartServe
    ) -> None:
        running = serve()
        belongings = running.belongings()
        java = next(pid for pid in (each.pid for each in belongings[0]) if is_java(psutil.Process(pid)))
        worker = running.ask(b"abc").json()[0]["pid"]
        busy = Path(psutil.Process(worker).cwd()) / f"busy-{worker}"
        with ThreadPoolExecutor(1) as pool:
            flying = pool.submit(running.ask, b"sleep 20")
            running.wait_for(busy.exists)
            os.kill(java, signal.SIGKILL)
            response = flying.result()
        assert (response.status_code, response.json()["code"]) == (503, "unavailable")
        assert running.process.wait(600) == 1
        assert "serve: TorchServe has ended" in running.said
        running.assert_gone(*belongings)

    def test_an_interruption_while_the_gateway_starts_leaves_nothing(
        self, checkout: Path, stub_archive: Callable[..., None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stub_archive(checkout / "model_store", "stub")
        options = GatewayOptions(ports.free(1)[0])
        service = Service(
            [ModelSpec(name="stub", source="stub")], checkout / "model_store", checkout / "run", options
        )

        def interrupted(*_: object) -> bool:
            raise KeyboardInterrupt  # Envoy was started this moment, and has no admin socket yet

        monkeypatch.setattr("serving.gateway.envoy.wait_until", interrupted)
        with pytest.raises(KeyboardInterrupt):
            service.start()
        assert service.gateway.running
        assert service.stop(grace=1) == 0
        assert not service.gateway.running
        assert not (checkout / "run" / state.FILE).exists()

    def test_a_model_that_does_not_load_is_one_line_and_leaves_nothing(
        self, checkout: Path, stub_archive: Callable[..., None]
    ) -> None:
        stub_archive(checkout / "model_store", "stub", stub={"value_error": "layer_weights has 3 values"})
        spec = ModelSpec(name="stub", source="stub")
        service = Service(
            [spec], checkout / "model_store", checkout / "run", GatewayOptions(ports.free(1)[0])
        )
        with pytest.raises(ServerError, match="layer_weights has 3 values"):
            service.start()
        family = service.server.identities()
        assert service.stop(grace=1) == 0
        assert [each.pid for each in family if each.alive] == []
        assert not (checkout / "run" / state.FILE).exists()
