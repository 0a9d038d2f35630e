"""From `make serve` to nothing left: ready, traffic, every way to stop, and what a killed server leaves behind."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import requests

from bundle import ports, processes, state
from bundle.management import Management
from bundle.ports import LOOPBACK
from bundle.processes import Identity
from bundle.service import Service
from bundle.sources import ModelSpec
from bundle.torchserve import ServerError

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parent.parent.parent
CLIPS = sorted((ROOT / "models" / "demo" / "samples").glob("*.flac"))
STUB = str(Path(__file__).with_name("serve_stub.py"))


Run = Callable[..., subprocess.CompletedProcess[str]]


@dataclass
class Serve:
    """One `make serve` as a process, and everything that it wrote."""

    process: subprocess.Popen[bytes]
    output: Path
    folder: Path
    port: int

    @property
    def said(self) -> str:
        return self.output.read_text()

    def ask(self, body: bytes, model: str = "stub") -> requests.Response:
        return requests.post(f"http://{LOOPBACK}:{self.port}/predictions/{model}", body, timeout=60)

    def state(self) -> state.State | None:
        return state.read(self.folder / state.FILE)

    def wait_for(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 180
        while not condition():
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.02)

    def belongings(self) -> tuple[list[Identity], list[Path]]:
        """This process and all its descendants, and its temp folders, now."""
        found = self.state()
        assert found
        family = [
            psutil.Process(self.process.pid),
            *psutil.Process(self.process.pid).children(recursive=True),
        ]
        return [Identity.of(process) for process in family], [Path(folder) for folder in found.temp]

    def assert_gone(self, family: list[Identity], temp: list[Path]) -> None:
        assert [each.pid for each in family if each.alive] == []
        assert [folder for folder in temp if folder.exists()] == []
        assert self.state() is None
        assert not ports.is_taken(self.port)


StartServe = Callable[..., Serve]


@pytest.fixture
def serve(run: Run, checkout: Path, tmp_path: Path) -> Iterator[StartServe]:
    """Start a server of the stub, or of what the arguments say, in its own session as a shell would."""
    started: list[Serve] = []

    def start(*program: str, ready: bool = True) -> Serve:
        port = ports.free(1)[0]
        output = tmp_path / f"{port}.txt"
        command = [sys.executable, *(program or (STUB,)), "--port", str(port), "--grace", "30"]
        with output.open("wb") as log:
            process = subprocess.Popen(command, cwd=checkout, stdout=log, stderr=log, start_new_session=True)
        started.append(Serve(process, output, checkout / state.RUN / str(port), port))
        if ready:
            started[-1].wait_for(lambda: "ready: " in started[-1].said)
        return started[-1]

    yield start
    for each in started:
        with contextlib.suppress(ProcessLookupError):
            each.process.send_signal(signal.SIGTERM)
        each.process.wait(90)
    run("-m", "bundle.stop")
    # and if that is what a test found to be broken: whatever has this checkout among its arguments
    processes.end(processes.matching(lambda argument: str(checkout) in argument), grace=1.0)


def is_java(process: psutil.Process) -> bool:
    return "org.pytorch.serve.ModelServer" in process.cmdline()


class TestServing:
    def test_the_ready_line_has_a_request_to_copy_and_its_real_answer(
        self, serve: StartServe, checkout: Path
    ) -> None:
        running = serve("-m", "bundle.serve", "--model", "demo")
        found = re.search(
            r"^ready: demo.*DEMO.*\n\n  (curl -T \S+ \S+)\n  (\[.*\])\n", running.said, re.MULTILINE
        )
        assert found, running.said
        command = found[1].split()
        again = subprocess.run(command, cwd=checkout, capture_output=True, text=True, timeout=60, check=True)
        answer = json.loads(again.stdout)
        assert answer == json.loads(found[2])
        # and while the real model is up: nothing about this voice is in any log
        running.process.terminate()
        running.process.wait(60)
        logs = {file.name: file.read_text("utf-8", "replace") for file in running.folder.rglob("*.log")}
        assert {"access_log.log", "model_log.log", "ts_log.log", "gateway_access.log"} <= logs.keys()
        told = [name for name, text in logs.items() for each in answer if each["label"] in text]
        assert told == []

    def test_several_models_are_served_each_under_its_name_and_version(
        self, serve: StartServe, checkout: Path
    ) -> None:
        (checkout / "twin").mkdir()
        (checkout / "twin" / "model.yaml").write_text("source: ../models/demo\n")
        running = serve("-m", "bundle.serve", "--models", "demo ./twin:2.0")
        assert re.findall(r"^ready: (\w+ [\d.]+)", running.said, re.MULTILINE) == ["demo 1.0", "twin 2.0"]
        clip = next((checkout / "models" / "demo" / "samples").glob("*.flac")).read_bytes()
        url = f"http://{LOOPBACK}:{running.port}"
        headers = {"content-type": "application/octet-stream"}
        answers = {
            name: requests.post(f"{url}/predictions/{name}", clip, headers=headers, timeout=60)
            for name in ("demo", "twin", "twin/2.0")
        }
        assert len({answer.text for answer in answers.values()}) == 1
        assert answers["twin"].headers["x-model-version"] == "2.0"
        assert requests.get(f"{url}/v2/models/twin", timeout=10).json()["versions"] == ["2.0"]

    def test_two_servers_run_side_by_side(self, serve: StartServe) -> None:
        first, second = serve(), serve()
        assert [each.ask(b"abc").status_code for each in (first, second)] == [200, 200]

    def test_a_taken_port_is_one_line_and_costs_no_start(self, serve: StartServe, run: Run) -> None:
        running = serve()
        second = run(STUB, "--port", str(running.port))
        assert (second.returncode, second.stdout) == (1, "")
        assert second.stderr == (
            f"serve: port {running.port} already serves stub: end it with `make stop`, or choose another with PORT=\n"
        )

    def test_the_client_is_told_where_the_server_is(self, serve: StartServe, run: Run) -> None:
        assert run("-m", "bundle.state").returncode == 3
        running = serve()
        told = run("-m", "bundle.state").stdout.strip()
        assert told == f"--url http://{LOOPBACK}:{running.port} --model stub"

    def test_a_killed_worker_is_replaced_without_a_restart(self, serve: StartServe) -> None:
        running = serve()
        found = running.state()
        assert found

        def ready() -> list[int]:
            (version,) = Management(Path(found.management)).versions("stub").values()
            return list(version.pids)

        (killed,) = ready()
        os.kill(killed, signal.SIGKILL)
        running.wait_for(lambda: ready() not in ([], [killed]))
        assert running.ask(b"abc").status_code == 200

    def test_a_gateway_that_dies_ends_the_server_with_a_fault(self, serve: StartServe) -> None:
        running = serve()
        belongings = running.belongings()
        found = running.state()
        assert found
        assert found.gateway
        os.kill(found.gateway.pid, signal.SIGKILL)
        assert running.process.wait(60) == 1
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
        assert (response.status_code, response.json()["error"]["code"]) == (503, "unavailable")
        assert running.process.wait(60) == 1
        assert "serve: TorchServe has ended" in running.said
        running.assert_gone(*belongings)

    def test_a_model_that_does_not_load_is_one_line_and_leaves_nothing(
        self, checkout: Path, stub_archive: Callable[..., None]
    ) -> None:
        stub_archive(checkout / "model_store", "stub", stub={"value_error": "layer_weights has 3 values"})
        spec = ModelSpec(name="stub", source="stub")
        service = Service([spec], checkout / "model_store", checkout / "run", ports.free(1)[0])
        with pytest.raises(ServerError, match="layer_weights has 3 values"):
            service.start()
        family = service.torchserve.identities()
        assert service.stop(grace=1) == 0
        assert [each.pid for each in family if each.alive] == []
        assert not (checkout / "run" / state.FILE).exists()


class TestStopping:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
    def test_a_signal_stops_it_with_nothing_left(self, serve: StartServe, number: signal.Signals) -> None:
        running = serve()
        belongings = running.belongings()
        assert len(belongings[0]) >= 4  # itself, Java, a worker, the gateway
        running.process.send_signal(number)
        assert running.process.wait(60) == 0
        assert "nothing left running" in running.said
        running.assert_gone(*belongings)

    def test_ctrl_c_reaches_the_whole_group_and_everything_in_flight_is_answered(
        self, serve: StartServe
    ) -> None:
        """A terminal signals every process of its group: Java and the gateway must not be in it."""
        running = serve()
        belongings = running.belongings()
        with ThreadPoolExecutor(5) as pool:
            flying = [pool.submit(running.ask, b"sleep 0.4") for _ in range(5)]
            running.wait_for(lambda: any(each.done() for each in flying))
            os.killpg(running.process.pid, signal.SIGINT)
            assert [each.result().status_code for each in flying] == [200] * 5
        assert running.process.wait(60) == 0
        running.assert_gone(*belongings)

    def test_it_is_not_ready_first_and_answers_new_callers_until_the_delay_is_over(
        self, serve: StartServe
    ) -> None:
        running = serve(STUB, "--stop-delay", "3")
        url = f"http://{LOOPBACK}:{running.port}/v2/health/ready"
        assert requests.get(url, timeout=10).status_code == 200
        running.process.terminate()
        running.wait_for(lambda: requests.get(url, timeout=10).status_code == 503)
        assert running.ask(b"abc").status_code == 200  # over a new connection
        assert running.process.wait(60) == 0

    def test_a_second_ctrl_c_hurries_and_says_what_was_cut_off(self, serve: StartServe) -> None:
        running = serve()
        belongings = running.belongings()
        with ThreadPoolExecutor(1) as pool:
            flying = pool.submit(running.ask, b"sleep 20")
            running.wait_for(
                lambda: "in flight" in running.said or running.process.send_signal(signal.SIGINT)
            )
            running.process.send_signal(signal.SIGINT)
            assert running.process.wait(15) == 0
            with pytest.raises(requests.ConnectionError):
                flying.result()
        assert "1 unanswered requests were cut off" in running.said
        running.assert_gone(*belongings)

    def test_a_signal_while_starting_stops_it_with_nothing_left(self, serve: StartServe) -> None:
        running = serve(ready=False)
        running.wait_for(running.state)
        belongings = running.belongings()
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(60) == 0
        running.assert_gone(*belongings)

    def test_make_stop_ends_it_in_order(self, serve: StartServe, run: Run) -> None:
        running = serve()
        belongings = running.belongings()
        stopped = run("-m", "bundle.stop")
        assert (stopped.returncode, stopped.stderr) == (0, "")
        assert running.process.wait(10) == 0
        assert "nothing left running" in running.said
        running.assert_gone(*belongings)

    def test_make_stop_clears_up_after_one_that_was_killed(self, serve: StartServe, run: Run) -> None:
        running = serve()
        family, temp = running.belongings()
        running.process.kill()
        running.process.wait()
        assert sum(each.alive for each in family) == len(family) - 1  # the rest lives on
        stopped = run("-m", "bundle.stop")
        assert stopped.returncode == 0
        assert "was killed" in stopped.stdout
        running.assert_gone(family, temp)

    def test_make_stop_with_nothing_running_says_so(self, run: Run) -> None:
        stopped = run("-m", "bundle.stop")
        assert (stopped.returncode, stopped.stdout) == (0, "nothing is running\n")
