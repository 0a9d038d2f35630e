"""Storms of callers that hang up, and the page about what they cost."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from pathlib import Path

import pytest

from measure.cancellation import page
from measure.cancellation.storm import storm
from measure.cancellation.traffic import CONDITIONS, CancellationRun, unheard
from serving.host.polling import wait_until
from tests.unit.measure.loadtest.comparisons import told

ALONE, UNHEARD, HEARD = CONDITIONS


@pytest.mark.parametrize("answers", [False, True])
def test_a_storm_counts_who_hung_up_and_who_had_an_answer_first(answers: bool) -> None:
    ended: list[bytes] = []

    def serve(caller: socket.socket) -> None:
        received = b""
        with caller, contextlib.suppress(ConnectionResetError):
            while not received.endswith(b"clip"):
                received += caller.recv(1024)
            if answers:
                caller.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            assert caller.recv(1) == b""
        ended.append(received)

    def accept() -> None:
        while True:
            caller, _ = listener.accept()
            threading.Thread(target=serve, args=[caller], daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        began = time.monotonic()
        with storm(
            listener.getsockname()[1],
            "/predictions/x",
            [b"a clip", b"the other clip"],
            3,
            0.1,
            0.02,
            "secret",
        ) as found:
            assert wait_until(lambda: len(ended) >= 5, 600)
        sent = len(found.hung_up) + len(found.answered)
        assert wait_until(lambda: len(ended) == sent, 600)
        assert sent in range(6, 3 * int((time.monotonic() - began) / 0.1 + 1) + 1, 3)
    these, others = (found.answered, found.hung_up) if answers else (found.hung_up, found.answered)
    assert others == []
    assert these.count(0) == 2 * these.count(1)
    assert ended[0].startswith(b"POST /predictions/x HTTP/1.1\r\n")
    assert b"\r\nAuthorization: Bearer secret\r\n" in ended[0]


def test_workers_do_not_find_the_file_for_a_while_and_the_gateway_writes_on(tmp_path: Path) -> None:
    file = tmp_path / "cancelled"
    with file.open("a") as gateway:
        with unheard(file):
            gateway.write("1.5 20 7\n")
            assert not file.exists()
        gateway.flush()
    assert file.read_text() == "1.5 20 7\n"


RUNS = [
    CancellationRun(ALONE, 1, (10.0, 20.0), 0, 0, 0.0, 30.0, 0.0),
    CancellationRun(UNHEARD, 1, (1000.0,), 1, 1000, 3500.0, 1200.0, 1100.0),
    CancellationRun(HEARD, 1, (20.0, 30.0), 0, 990, 3400.0, 40.0, 1.4),
    CancellationRun(HEARD, 2, (40.0,), 0, 10, 100.0, 40.0, 1.0),
]


def test_sums_and_percentiles_are_of_all_rounds() -> None:
    rows = page.table(RUNS).rows
    assert rows[0] == [ALONE, "0", "0", "30", "0", "2", "10", "20", "0"]
    assert rows[1] == [UNHEARD, "1,000", "3,500", "1,200", "1,100", "1", "1000", "1000", "1"]
    assert rows[2] == [HEARD, "1,000", "3,500", "80", "2", "3", "30", "40", "0"]
    assert page.table(RUNS[:1]).rows[1][6:] == ["–", "–", "0"]


def test_the_page_says_who_called_and_who_hung_up(tmp_path: Path) -> None:
    settings = {
        "server": "triton",
        "rounds": 2,
        "seconds": 9.0,
        "stayers": 5.0,
        "storm": 60,
        "every": 3.0,
        "patience": 0.05,
    }
    text = told(page.COMPARISON, tmp_path, settings, RUNS)
    assert text.startswith("### Hanging up on triton\n")
    assert (
        "2 rounds of 9 s a run, in which 5 callers a second stay, and 60 at once, every 3 s, hang up after 50 ms."
        in text
    )
