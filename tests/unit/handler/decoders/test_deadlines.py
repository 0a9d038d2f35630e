"""No caller waits past its deadline, whatever happens to decoders, and none is blamed for what the server lacks."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import numpy as np
import psutil
import pytest
from speaker_id.clip import RawAudio
from speaker_id.decoders import Decoders, patience
from speaker_id.decoders.forking import ForkServer
from speaker_id.errors import DeadlineExceeded

from tests.decoding import CRASHES_LIBSNDFILE, SAMPLES, decode, is_well, settle


@pytest.fixture
def decoders() -> Iterator[Decoders]:
    each = Decoders(1, sampling_rate=16000, max_seconds=120.0).ready()
    yield each
    each.close()


def test_a_clip_past_its_deadline_is_given_up_and_its_decoder_ended(decoders: Decoders) -> None:
    before = set(decoders.pids)
    long = RawAudio(np.zeros((8, 120 * 48000), np.float32), 48000)
    with pytest.raises(DeadlineExceeded, match="before the request's deadline"):
        decoders.decode(long, min_samples=400, cpu_seconds=60.0, deadline=time.time() + 0.005)
    settle(decoders)
    assert len(set(decoders.pids) - before) == 1
    assert is_well(decoders)


def test_a_decoder_that_does_nothing_is_given_up_and_its_clip_not_blamed(
    decoders: Decoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    (stopped,) = decoders.pids
    os.kill(stopped, signal.SIGSTOP)
    with monkeypatch.context() as patch:
        patch.setattr(patience, "HANG_SECONDS", 0.05)
        with pytest.raises(DeadlineExceeded, match="the server is too busy") as caught:
            decode(decoders, SAMPLES[0].read_bytes())
    assert caught.value.fault == ("hang", "")
    assert len(decode(decoders, SAMPLES[0].read_bytes()).waveform)
    assert stopped not in decoders.pids


def test_a_fork_server_that_does_not_answer_holds_no_caller_past_its_deadline(decoders: Decoders) -> None:
    assert decoders.server.pid
    assert decoders.server._connection
    decoders.server._connection.settimeout(60.0)
    os.kill(decoders.server.pid, signal.SIGSTOP)
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        decode(decoders, CRASHES_LIBSNDFILE.read_bytes(), deadline=time.time() + 0.5)
    assert time.monotonic() - began < 30.0
    os.kill(decoders.server.pid, signal.SIGCONT)
    assert len(decode(decoders, SAMPLES[0].read_bytes()).waveform)


def test_a_fork_server_that_starts_slowly_holds_no_caller_past_its_deadline(
    decoders: Decoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(server: ForkServer) -> None:
        assert go_on.wait(30.0)
        quick(server)

    go_on, quick = threading.Event(), ForkServer._start
    monkeypatch.setattr(ForkServer, "_start", slow)
    assert decoders.server.pid
    ended = [psutil.Process(pid) for pid in decoders.pids]
    os.kill(decoders.server.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs(ended, timeout=600)
    assert not alive
    began = time.monotonic()
    for _ in range(2):
        with pytest.raises(DeadlineExceeded):
            decode(decoders, SAMPLES[0].read_bytes(), deadline=time.time() + 0.5)
    assert time.monotonic() - began < 30.0
    go_on.set()
    assert len(decode(decoders, SAMPLES[0].read_bytes()).waveform)
