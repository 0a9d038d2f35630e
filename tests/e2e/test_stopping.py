"""Every way to stop `make serve`, with nothing left and nothing dropped, and what a killed server leaves behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import requests

from serving.host import ports
from serving.host.leash import watches
from serving.host.processes import Identity
from tests.e2e.started import STUB, Run, StartServe
from tests.waiting import wait_until

pytestmark = pytest.mark.e2e

HOLDS_A_SERVER = """
import sys, time
from pathlib import Path
from serving.control import ManagementError
from serving.torchserve.process import TorchServe
server = TorchServe(Path(sys.argv[1]), ["stub"], Path(sys.argv[2]))
server.start()
pids = []
while not pids:
    time.sleep(0.1)
    try:
        pids = server.worker_pids()
    except ManagementError:
        pass
print(server.temp, *(each.pid for each in server.identities()), flush=True)
time.sleep(3600)
"""


class TestStopping:
    def test_a_closed_terminal_stops_it_with_nothing_left(self, serve: StartServe) -> None:
        running = serve()
        belongings = running.belongings()
        assert len(belongings[0]) >= 4  # itself, Java, a worker, the gateway
        running.process.send_signal(signal.SIGHUP)
        assert running.process.wait(600) == 0
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
        assert running.process.wait(600) == 0
        running.assert_gone(*belongings)

    def test_it_is_not_ready_first_and_answers_new_callers_until_the_delay_is_over(
        self, serve: StartServe
    ) -> None:
        running = serve(STUB, "--stop-delay", "3")
        assert running.get("/v2/health/ready").status_code == 200
        running.process.terminate()
        running.wait_for(lambda: running.get("/v2/health/ready").status_code == 503)
        assert running.ask(b"abc").status_code == 200  # over a new connection
        assert running.process.wait(600) == 0

    def test_a_second_ctrl_c_hurries_and_says_what_was_cut_off(self, serve: StartServe) -> None:
        running = serve()
        belongings = running.belongings()
        with ThreadPoolExecutor(1) as pool:
            flying = pool.submit(running.ask, b"sleep 20")
            running.wait_for(
                lambda: "in flight" in running.said or running.process.send_signal(signal.SIGINT)
            )
            running.process.send_signal(signal.SIGINT)
            assert running.process.wait(600) == 0
            with pytest.raises(requests.ConnectionError):
                flying.result()
        assert "1 unanswered requests were cut off" in running.said
        running.assert_gone(*belongings)

    def test_while_starting_it_is_not_ready_and_a_signal_stops_it_with_nothing_left(
        self, serve: StartServe
    ) -> None:
        running = serve(STUB, "--stop-delay", "300", ready=False)  # no balancer sends to what was never ready
        running.wait_for(lambda: ports.is_taken(running.port))
        probes = ("/v2/health/ready", "/ping", "/v1/models/stub", "/v2/health/live")
        statuses = [running.get(path).status_code for path in probes]
        assert statuses == [503, 503, 503, 200]
        belongings = running.belongings()
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(600) == 0
        running.assert_gone(*belongings)

    def test_make_stop_ends_it_in_order(self, serve: StartServe, run: Run) -> None:
        """By SIGTERM."""
        running = serve()
        belongings = running.belongings()
        stopped = run("-m", "serving.stop")
        assert (stopped.returncode, stopped.stderr) == (0, "")
        assert running.process.wait(600) == 0
        assert "nothing left running" in running.said
        running.assert_gone(*belongings)

    def test_all_of_it_ends_with_a_serve_that_is_killed_and_make_stop_clears_up(
        self, serve: StartServe, run: Run
    ) -> None:
        running = serve()
        family, temp = running.belongings()
        running.process.kill()
        running.process.wait()
        wait_until(lambda: not any(each.alive for each in family))
        stopped = run("-m", "serving.stop")
        assert stopped.returncode == 0
        assert "was killed" in stopped.stdout
        running.assert_gone(family, temp)

    @pytest.mark.usefixtures("run")  # for its PYTHONPATH
    def test_all_of_it_ends_with_a_test_or_command_that_is_killed(
        self, stub_store: Path, build_stub: Callable[..., None], tmp_path: Path
    ) -> None:
        """No `make serve` stands between them and TorchServe; and one of the workers loads for an hour."""
        build_stub("stub", minWorkers=2, maxWorkers=2, stub={"slow_seconds": 3600})
        command = [sys.executable, "-c", HOLDS_A_SERVER, str(stub_store), str(tmp_path / "run")]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
            assert parent.stdout
            temp, *pids = parent.stdout.readline().split()
            family = [Identity.of(psutil.Process(int(pid))) for pid in pids]
            assert len(family) >= 4  # Java, the shell that ends it, two workers
            parent.kill()
        wait_until(lambda: not any(each.alive for each in family))
        shutil.rmtree(temp)

    def test_make_stop_ends_what_lives_on_all_the_same(self, serve: StartServe, run: Run) -> None:
        """Where what should have ended it was killed too."""
        running = serve()
        family, temp = running.belongings()
        for process in psutil.Process(running.process.pid).children(recursive=True):
            if watches(process):
                process.kill()
        running.process.kill()
        running.process.wait()
        lives_on = [each for each in family if each.alive]
        assert len(lives_on) >= 3  # Java, a worker, the gateway
        stopped = run("-m", "serving.stop")
        assert stopped.returncode == 0
        assert "was killed" in stopped.stdout
        running.assert_gone(family, temp)

    def test_make_stop_with_nothing_running_says_so(self, run: Run) -> None:
        stopped = run("-m", "serving.stop")
        assert (stopped.returncode, stopped.stdout) == (0, "nothing is running\n")
