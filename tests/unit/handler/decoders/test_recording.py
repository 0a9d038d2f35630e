"""A recording's process: the samples of `audio.decode`, block by block, whatever happens to it."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import numpy as np
import psutil
import pytest
from speaker_id import audio
from speaker_id.clip import EncodedAudio
from speaker_id.decoders import recording as module
from speaker_id.decoders import streaming
from speaker_id.decoders.recording import Recordings
from speaker_id.errors import (
    AudioTooCostly,
    AudioTooShort,
    CorruptAudio,
    DeadlineExceeded,
    EmptyAudio,
    OutOfMemory,
    RecordingTooLong,
    TruncatedAudio,
    UnsupportedMedia,
)

from measure.chaos.recordings import by_libsndfile, recording, tones
from tests.decoding import CRASHES_LIBSNDFILE

RATE = 16_000


@pytest.fixture(scope="module")
def recordings() -> Iterator[Recordings]:
    with Recordings(sampling_rate=RATE, max_seconds=60.0, min_samples=400) as each:
        yield each


@contextmanager
def spooled(data: bytes) -> Iterator[int]:
    file: IO[bytes]
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        yield file.fileno()


def blocks(recordings: Recordings, data: bytes, seconds: float = 1.0) -> list[np.ndarray]:
    with spooled(data) as file, recordings.open(file, block_seconds=seconds) as each:
        return list(each)


@pytest.mark.parametrize(
    "name", ["WAV PCM_16", "FLAC", "MP3", "MP3 with ID3", "Ogg Opus", "Ogg Vorbis", "M4A", "WebM Opus", "AMR"]
)
def test_the_blocks_are_the_waveform_of_the_whole_file(recordings: Recordings, name: str) -> None:
    data = recording(name, 5.3)
    whole = audio.decode(EncodedAudio(data), sampling_rate=RATE, max_seconds=60.0, min_samples=400).waveform
    with spooled(data) as file, recordings.open(file, block_seconds=1.0) as each:
        assert each.seconds is None
        found = list(each)
        assert each.seconds == pytest.approx(5.3, abs=0.2)
    assert [len(each) for each in found[:-1]] == [RATE] * (len(found) - 1)
    np.testing.assert_array_equal(np.concatenate(found), whole)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", EmptyAudio),
        (b"<html>", UnsupportedMedia),
        (recording("WAV PCM_16")[:-500], TruncatedAudio),
        (by_libsndfile("WAV", "PCM_16", tones(0.01, RATE), RATE), AudioTooShort),
        (CRASHES_LIBSNDFILE.read_bytes(), CorruptAudio),
    ],
)
def test_what_is_wrong_is_raised_as_for_a_clip(
    recordings: Recordings, data: bytes, error: type[Exception]
) -> None:
    with pytest.raises(error):
        blocks(recordings, data)
    assert len(blocks(recordings, recording("FLAC"))) == 1


def test_a_recording_past_the_limit_says_the_limit(recordings: Recordings) -> None:
    with pytest.raises(RecordingTooLong, match="longer than 60 s") as raised:
        blocks(recordings, recording("FLAC", 61.0))
    assert raised.value.body()["seconds"] == 60.0


def test_damaged_frames_are_counted(recordings: Recordings) -> None:
    data = bytearray(recording("ADTS AAC", 8.0))
    data[5000:5040] = bytes(40)
    with spooled(bytes(data)) as file, recordings.open(file, block_seconds=1) as each:
        assert len(list(each))
        assert each.skipped_frames >= 1
        assert each.cpu_seconds > 0


def test_the_process_waits_for_its_reader_and_ends_with_it(recordings: Recordings) -> None:
    with spooled(by_libsndfile("WAV", "PCM_16", tones(59.0, RATE), RATE)) as file:
        each = recordings.open(file, block_seconds=1)
        next(each)
        process = psutil.Process(each.pid)
        used = -1.0
        while used != (used := process.cpu_times().user):
            time.sleep(0.3)
        assert process.status() == psutil.STATUS_SLEEPING
        each.close()
        assert not process.is_running()
        each.close()
        with pytest.raises(DeadlineExceeded, match="given up"):  # not the end of the recording
            next(each)


def test_a_reader_that_waits_is_woken_when_another_thread_gives_up(recordings: Recordings) -> None:
    with spooled(recording("FLAC", 5.0)) as file:
        each = recordings.open(file, block_seconds=1)
        os.kill(each.pid, signal.SIGSTOP)
        threading.Timer(0.2, each.close).start()
        with pytest.raises(DeadlineExceeded, match="given up"):
            list(each)


def test_a_process_that_hangs_is_ended(recordings: Recordings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HANG_SECONDS", 0.2)
    with spooled(recording("FLAC", 5.0)) as file, recordings.open(file, block_seconds=1) as each:
        os.kill(each.pid, signal.SIGSTOP)
        with pytest.raises(DeadlineExceeded, match="not decoded for") as raised:
            list(each)
    assert raised.value.fault
    assert raised.value.fault.kind == "hang"


def test_a_process_that_is_killed_is_the_servers_fault(recordings: Recordings) -> None:
    with spooled(recording("FLAC", 50.0)) as file, recordings.open(file, block_seconds=1) as each:
        next(each)
        os.kill(each.pid, signal.SIGKILL)
        with pytest.raises(OutOfMemory):
            list(each)
        assert list(each) == []


def test_cpu_time_is_bounded_in_proportion_to_what_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[float] = []
    monkeypatch.setattr(streaming, "limit_cpu", limits.append)
    monkeypatch.setattr(time, "thread_time", lambda: 0.25)
    request = {"sampling_rate": RATE, "max_seconds": 60.0, "min_samples": 1, "block_samples": 2 * RATE}
    here, there = socket.socketpair()
    with here, there, spooled(by_libsndfile("WAV", "PCM_16", tones(5.0, RATE), RATE)) as file:
        reader = threading.Thread(target=lambda: [None for _ in iter(lambda: here.recv(1 << 16), b"")])
        reader.start()
        limited = {**request, "cpu_seconds": 3.0, "cpu_share": 0.5}
        result = streaming.send_blocks(there, audio.Span.of(file), limited)
        there.close()
        reader.join()
    assert result == {"skipped_frames": 0, "cpu_seconds": 0.0}
    assert limits == [3.0, 4.0, 5.0, 5.5]  # after 0, 2, 4 and 5 s


def test_a_process_that_used_its_cpu_time_says_the_limit(recordings: Recordings) -> None:
    with spooled(recording("FLAC", 50.0)) as file, recordings.open(file, block_seconds=1) as each:
        os.kill(each.pid, signal.SIGXCPU)
        with pytest.raises(AudioTooCostly, match="more CPU time than 5 s"):
            list(each)


def test_memory_does_not_grow_with_the_recording() -> None:
    def most(seconds: int) -> int:
        samples = tones(10.0, 44_100, 2)
        data = by_libsndfile("WAV", "PCM_16", np.tile(samples, (1, seconds // 10)), 44_100)
        with spooled(data) as file, each.open(file, block_seconds=30) as recording:
            process = psutil.Process(recording.pid)
            return max(process.memory_full_info().uss for _ in recording)

    with Recordings(sampling_rate=RATE, max_seconds=600.0) as each:
        assert most(600) < 1.1 * most(120)


def test_the_process_cannot_write_to_the_file(recordings: Recordings) -> None:
    data = recording("WAV PCM_16", 5.0)
    with spooled(data) as file, recordings.open(file, block_seconds=1) as each:
        next(each)
        assert psutil.Process(each.pid).rlimit(psutil.RLIMIT_FSIZE) == (0, 0)
        assert os.pread(file, len(data), 0) == data


def test_a_fork_server_that_ended_is_started_again(recordings: Recordings) -> None:
    assert recordings.server.pid
    os.kill(recordings.server.pid, signal.SIGKILL)
    assert len(blocks(recordings, recording("FLAC"))) == 1
