"""A decoder process answers as `audio.decode` does, and whatever happens to it costs one clip."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from speaker_id import audio
from speaker_id.clip import EncodedAudio, RawAudio
from speaker_id.decoders import Decoders, pool
from speaker_id.decoders.faults import ended
from speaker_id.decoders.forking import ForkServer
from speaker_id.decoders.wire import Lost
from speaker_id.errors import CorruptAudio, OutOfMemory, UnsupportedMedia

from tests.decoding import CRASHES_LIBSNDFILE, SAMPLES, decode, is_well, settle


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    each = Decoders(2, sampling_rate=16000, max_seconds=120.0).ready()
    yield each
    each.close()


@pytest.mark.parametrize("path", SAMPLES[:3], ids=lambda path: path.stem)
def test_the_waveform_is_that_of_decoding_in_this_process(decoders: Decoders, path: Path) -> None:
    data = path.read_bytes()
    here = audio.decode(EncodedAudio(data), sampling_rate=16000, max_seconds=120.0, min_samples=400)
    np.testing.assert_array_equal(decode(decoders, data).waveform, here.waveform)


@pytest.mark.parametrize("shape", [(44100,), (2, 44100)])
def test_samples_of_any_shape_are_resampled_there_too(decoders: Decoders, shape: tuple[int, ...]) -> None:
    clip = RawAudio(np.random.default_rng(1).standard_normal(shape).astype(np.float32), 44100)
    here = audio.decode(clip, sampling_rate=16000, max_seconds=120.0, min_samples=400)
    there = decoders.decode(clip, min_samples=400, cpu_seconds=10.0)
    np.testing.assert_array_equal(there.waveform, here.waveform)


def test_a_request_error_comes_back_as_it_was_raised(decoders: Decoders) -> None:
    with pytest.raises(UnsupportedMedia, match="starts with the bytes 3c 68 74 6d 6c"):
        decode(decoders, b"<html>")


def test_a_clip_that_crashes_its_decoder_is_refused_and_the_next_is_answered(decoders: Decoders) -> None:
    with pytest.raises(CorruptAudio, match="crashed its decoder") as caught:
        decode(decoders, CRASHES_LIBSNDFILE.read_bytes())
    assert caught.value.fault == ("crash", "SIGSEGV")
    assert is_well(decoders)


def test_clips_beside_one_that_crashes_its_decoder_notice_nothing(decoders: Decoders) -> None:
    good, bad = SAMPLES[0].read_bytes(), CRASHES_LIBSNDFILE.read_bytes()
    expected = decode(decoders, good).waveform
    faults: list[CorruptAudio] = []

    def attack() -> None:
        for _ in range(10):
            with pytest.raises(CorruptAudio) as caught:
                decode(decoders, bad)
            faults.append(caught.value)

    attacker = threading.Thread(target=attack)
    attacker.start()
    while attacker.is_alive():
        np.testing.assert_array_equal(decode(decoders, good).waveform, expected)
    attacker.join()
    assert len(faults) == 10


def test_a_decoder_that_was_killed_between_two_clips_is_replaced_unnoticed(decoders: Decoders) -> None:
    for pid in decoders.pids:
        os.kill(pid, signal.SIGKILL)
    assert is_well(decoders)


def test_a_fork_server_that_was_killed_is_replaced_unnoticed(decoders: Decoders) -> None:
    assert decoders.server.pid
    os.kill(decoders.server.pid, signal.SIGKILL)
    assert is_well(decoders)


def test_a_clip_whose_decoder_is_killed_twice_is_told_to_try_again(decoders: Decoders) -> None:
    def kill_all() -> None:
        while not done.wait(0.001):
            for pid in decoders.pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    long = RawAudio(np.zeros((8, 120 * 48000), np.float32), 48000)  # takes longer than the killer waits
    done = threading.Event()
    killer = threading.Thread(target=kill_all)
    killer.start()
    with pytest.raises(OutOfMemory, match="try again") as caught:
        decoders.decode(long, min_samples=400, cpu_seconds=60.0)
    done.set()
    killer.join()
    assert caught.value.fault == ("killed", "")
    assert is_well(decoders)


def test_a_clip_for_which_no_decoder_can_be_started_is_told_to_try_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_memory(*_: object, **__: object) -> None:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    decoders = Decoders(1, sampling_rate=16000, max_seconds=10.0).ready()
    (ended,) = map(psutil.Process, decoders.pids)
    decoders.server.close()
    _, alive = psutil.wait_procs([ended], timeout=600)
    assert not alive
    open_before = psutil.Process().num_fds()
    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "Popen", no_memory)
        for _ in range(10):
            with pytest.raises(OutOfMemory, match="try again"):
                decode(decoders, SAMPLES[0].read_bytes())
        settle(decoders)
    assert psutil.Process().num_fds() <= open_before
    assert len(decode(decoders, SAMPLES[0].read_bytes()).waveform)
    decoders.close()


def test_a_clip_for_which_there_is_no_descriptor_is_told_to_try_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_descriptor(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    decoders = Decoders(1, sampling_rate=16000, max_seconds=10.0).ready()
    with monkeypatch.context() as patch:
        patch.setattr(socket, "socketpair", no_descriptor)
        os.kill(decoders.pids[0], signal.SIGKILL)
        for _ in range(3):
            with pytest.raises(OutOfMemory, match="try again"):
                decode(decoders, SAMPLES[0].read_bytes())
    assert is_well(decoders)
    decoders.close()


class NoMemory:
    """A connection whose replies this process has no memory for."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection

    def recv(self, _: int) -> bytes:
        raise MemoryError

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)


def test_no_clip_gets_the_reply_to_one_that_this_process_had_no_memory_for() -> None:
    decoders = Decoders(1, sampling_rate=16000, max_seconds=10.0).ready()
    first, second = (decode(decoders, path.read_bytes()).waveform for path in SAMPLES[:2])
    assert len(first) != len(second)
    (only,) = decoders._all
    assert only._connection
    only._connection = NoMemory(only._connection)  # type: ignore[assignment]
    with pytest.raises(MemoryError):
        decode(decoders, SAMPLES[0].read_bytes())
    np.testing.assert_array_equal(decode(decoders, SAMPLES[1].read_bytes()).waveform, second)
    decoders.close()


def test_a_fork_server_that_answers_too_late_is_replaced() -> None:
    decoders = Decoders(1, sampling_rate=16000, max_seconds=10.0).ready()
    slow = decoders.server.pid
    assert slow
    assert decoders.server._connection
    decoders.server._connection.settimeout(0.2)
    os.kill(slow, signal.SIGSTOP)
    assert decoders.server.end(decoders.pids[0]) is None
    with contextlib.suppress(ProcessLookupError):
        os.kill(slow, signal.SIGCONT)  # its answer now would be taken for the next one's
    assert len(decode(decoders, SAMPLES[0].read_bytes()).waveform)
    assert decoders.server.pid
    assert {each.pid for each in psutil.Process(decoders.server.pid).children()} == set(decoders.pids)
    decoders.close()


def test_a_clip_that_does_not_fit_into_shared_memory_is_not_blamed(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    decoders = Decoders(1, sampling_rate=16000, max_seconds=10.0).ready()
    with monkeypatch.context() as patch:
        patch.setattr("speaker_id.decoders.process.write", no_room)
        with pytest.raises(OutOfMemory, match="try again"):
            decode(decoders, SAMPLES[0].read_bytes())
    assert len(decode(decoders, SAMPLES[0].read_bytes()).waveform)
    decoders.close()


def test_a_signal_without_a_name_is_told_too() -> None:
    assert ended(signal.SIGRTMIN + 1, 5.0).fault == ("crash", f"wait status {signal.SIGRTMIN + 1}")


def test_replaced_decoders_leave_no_descriptor_and_no_process_behind(decoders: Decoders) -> None:
    assert decoders.server.pid
    server = psutil.Process(decoders.server.pid)
    replaced = 100
    here, before = psutil.Process().num_fds(), (server.num_fds(), len(server.children()))
    for _ in range(replaced):
        with pytest.raises(CorruptAudio):
            decode(decoders, b"RIFF\xff\xff\xff\xffWAVEfmt \0\0\0\0")
    settle(decoders)
    assert (server.num_fds(), len(server.children())) == before
    # threads of other tests' servers, which run in this process, open and close a few meanwhile
    assert psutil.Process().num_fds() - here < replaced / 2


def test_a_decoder_that_has_grown_is_replaced(decoders: Decoders, monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(decoders.pids)
    monkeypatch.setattr(pool, "LARGEST_IDLE", 1)
    decode(decoders, SAMPLES[0].read_bytes())
    settle(decoders)
    assert len(set(decoders.pids) - before) == 1


def test_between_two_clips_a_decoder_has_no_more_than_its_bound() -> None:
    decoders = Decoders(1, sampling_rate=16000, max_seconds=120.0).ready()
    large = np.random.default_rng(1).standard_normal((2, 120 * 48000)).astype(np.float32) * 0.1
    clips = (
        EncodedAudio(SAMPLES[0].read_bytes()),
        RawAudio(large, 48000),
        EncodedAudio(SAMPLES[1].read_bytes()),
    )
    for clip in clips:
        decoders.decode(clip, min_samples=400, cpu_seconds=60.0)
        (pid,) = decoders.pids
        assert psutil.Process(pid).memory_info().rss < 60e6
    decoders.close()


def test_nothing_of_a_clip_stays_beside_the_next() -> None:
    decoders = Decoders(1, sampling_rate=16000, max_seconds=10.0).ready()
    (only,) = decoders._all
    decode(decoders, SAMPLES[0].read_bytes())
    with pytest.raises(UnsupportedMedia):
        decode(decoders, b"short")
    assert os.pread(only._body, 1000, 0) == b"short"
    decoders.close()


def test_loading_a_model_does_not_wait_for_the_first_decoders(monkeypatch: pytest.MonkeyPatch) -> None:
    imported, fork = threading.Event(), ForkServer.fork
    monkeypatch.setattr(ForkServer, "fork", lambda *given: imported.wait(60) and fork(*given))
    each = Decoders(1, sampling_rate=16000, max_seconds=10.0)
    try:
        assert each.server.pid is None
        imported.set()
        assert each.ready().pids
    finally:
        each.close()


def test_a_worker_that_can_start_no_decoder_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> int:
        raise Lost("no more processes can be started")

    monkeypatch.setattr(ForkServer, "fork", refused)
    each = Decoders(1, sampling_rate=16000, max_seconds=10.0)
    try:
        with pytest.raises(Lost):
            each.ready()
    finally:
        each.close()
