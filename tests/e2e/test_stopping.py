"""Every way to stop `make serve`, with nothing left and nothing dropped, and what a killed server leaves behind."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from bundle.ports import LOOPBACK
from tests.e2e.started import STUB, Run, StartServe

pytestmark = pytest.mark.e2e


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
