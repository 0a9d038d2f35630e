"""The client on long recordings: turns, RTTM, and the splitting of what a server refuses."""

from __future__ import annotations

import io
import json
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clients import identify
from clients.identify import Client, Refused, Unsplittable, turns_of
from serving.recordings import turns as server_side
from serving.recordings.windows import Windows, cut
from tests.unit.client.double import Reply, Server, serving

RATE = 1000  # Hz
SECONDS = 25.5
VOICES = ("ann", "ann", "bob", "unknown")


def wav(seconds: float = SECONDS, rate: int = RATE) -> bytes:
    """Each sample is its number modulo 2^15, so that a part says where it was cut."""
    body = io.BytesIO()
    with wave.open(body, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes((np.arange(round(seconds * rate)) % 2**15).astype("<i2").tobytes())
    return body.getvalue()


def label_at(second: float) -> str:
    return VOICES[int(second / 2.5) % len(VOICES)]


def answered(data: bytes, asked: Windows) -> list[dict[str, Any]]:
    """What a server says of a file of `wav`: a window's label and score depend on where its samples were."""
    with wave.open(io.BytesIO(data)) as reader:
        samples = np.frombuffer(reader.readframes(reader.getnframes()), "<i2").astype(np.float32)
    return [
        {
            "start": each.start,
            "end": each.end,
            "ranking": [{"label": label_at(each.samples[0] / RATE), "score": float(each.samples[0]) / 2**15}],
        }
        for each in cut([samples], asked, RATE, 25)
    ]


class Splitting(Server):
    """Answers windows as the server does, and refuses what is longer than it takes."""

    takes = 1e9
    asked = Windows(3, 3)

    def next_reply(self, body: bytes) -> Reply:
        with wave.open(io.BytesIO(body)) as reader:
            seconds = reader.getnframes() / reader.getframerate()
        if seconds > self.takes:
            error = {"error": "too long", "code": "recording_too_long", "seconds": self.takes}
            return Reply(status=413, body=error)
        windows = answered(body, self.asked)
        if not windows:
            return Reply(status=422, body={"error": "too short", "code": "audio_too_short"})
        return Reply(body={"windows": windows, "turns": []})


@pytest.fixture
def splitting() -> Iterator[Splitting]:
    with serving(Splitting) as running:
        yield running


@pytest.mark.parametrize("asked", [Windows(3, 3), Windows(3, 1.5), Windows(3, 1)])
def test_windows_of_parts_are_those_of_the_whole(splitting: Splitting, asked: Windows) -> None:
    splitting.asked = asked
    for seconds in (SECONDS, 24.0, 24.01):
        for splitting.takes in (1e9, 10.0, 9.0, 3.0, 24.0, 25.48):
            with Client(splitting.url, "sid", retries=0) as client:
                found = client.windows(wav(seconds), (asked.seconds, asked.hop))
            assert found == answered(wav(seconds), asked)


def test_what_is_asked_for_is_sent(splitting: Splitting) -> None:
    with Client(splitting.url, "sid", retries=0) as client:
        client.windows(wav(), (3, 1.5), top_k=2, min_score=None)
    headers = splitting.requests[0][1]
    assert (headers["x-windows"], headers["x-top-k"]) == ("3;hop=1.5", "2")
    assert "x-min-score" not in headers


def test_a_refusal_of_less_than_a_window_is_said(splitting: Splitting) -> None:
    splitting.takes = 2.0
    with Client(splitting.url, "sid", retries=0) as client, pytest.raises(Unsplittable, match="only 2 s fit"):
        client.windows(wav(), (3, 3))


def test_another_format_cannot_be_cut_and_the_message_says_how_to_convert_it(server: Server) -> None:
    server.otherwise.status = 413
    server.otherwise.body = {"error": "too long", "code": "recording_too_long", "seconds": 900}
    with (
        Client(server.url, "sid", retries=0) as client,
        pytest.raises(Unsplittable, match="ffmpeg -i RECORDING"),
    ):
        client.windows(b"fLaC", (3, 3))


def test_a_refusal_without_a_number_stays_one(server: Server) -> None:
    server.otherwise.status = 413
    server.otherwise.body = {"error": "too long", "code": "recording_too_long"}
    with Client(server.url, "sid", retries=0) as client, pytest.raises(Refused, match="too long"):
        client.windows(wav(), (3, 3))


@pytest.mark.parametrize("asked", [Windows(3, 3), Windows(3, 1.5), Windows(2, 0.5)])
def test_turns_are_merged_as_the_server_does(asked: Windows) -> None:
    windows = answered(wav(), asked)
    there = [server_side.Answered(each["start"], each["end"], each["ranking"]) for each in windows]
    assert turns_of(windows) == server_side.answer(there)["turns"]
    assert turns_of([]) == []


def run(server: Server, *arguments: str | Path) -> int:
    return identify.main(["--url", server.url, "--model", "sid", "--retries", "0", *map(str, arguments)])


def test_turns_are_printed_and_rttm_is_the_servers(
    splitting: Splitting, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "call 7.wav"
    path.write_bytes(wav(9.0))
    assert run(splitting, path, "--windows", "3") == 0
    assert capsys.readouterr().out == (
        f"{path}:\n      0.00       6.00  ann 0.046\n      6.00       9.00  bob 0.183\n"
    )
    assert run(splitting, path, "--windows", "3", "--rttm") == 0
    there = server_side.turns(
        [
            server_side.Answered(each["start"], each["end"], each["ranking"])
            for each in answered(wav(9.0), Windows(3, 3))
        ]
    )
    assert capsys.readouterr().out == server_side.rttm("call 7", there)
    assert run(splitting, path, "--windows", "3", "--format", "csv") == 0
    assert capsys.readouterr().out.splitlines()[1] == f"{path},0.0,6.0,ann,{3000 / 2**16},"
    assert run(splitting, path, "--windows", "3", "--format", "jsonl") == 0
    assert set(json.loads(capsys.readouterr().out)) == {"clip", "windows", "turns"}


def test_of_several_heads_turns_are_by_their_names_and_rttm_is_of_one(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.wav").write_bytes(wav(3.0))
    ranking = {"speaker": [{"label": "ann", "score": 0.5}], "language": [{"label": "de", "score": 1.0}]}
    server.otherwise.body = {"windows": [{"start": 0, "end": 3, "ranking": ranking}], "turns": {}}
    assert run(server, tmp_path / "a.wav", "--windows", "3") == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "      0.00       3.00  speaker: ann 0.500",
        "      0.00       3.00  language: de 1.000",
    ]
    assert run(server, tmp_path / "a.wav", "--windows", "3", "--rttm") == 1
    assert "of one head" in capsys.readouterr().err


def test_rttm_needs_windows(server: Server) -> None:
    with pytest.raises(SystemExit):
        run(server, "x.wav", "--rttm")


def test_a_server_without_windows_is_noticed(server: Server, tmp_path: Path) -> None:
    with Client(server.url, "sid", retries=0) as client, pytest.raises(identify.BadAnswer, match="X-Windows"):
        client.windows(wav(3.0), (3, 3))
