"""The client on the command line: what it sends, what it prints, how it exits."""

from __future__ import annotations

import csv
import io
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from clients import identify
from clients.identify import Client


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.wav", "a.FLAC", "deep/c.mp3", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def run(server: Any, *arguments: str | Path) -> int:
    return identify.main(["--url", server.url, "--model", "sid", "--retries", "0", *map(str, arguments)])


def test_a_folder_is_searched_for_audio_files(
    server: Any, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(server, folder, "--format", "jsonl") == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Path(each["clip"]).name for each in found] == ["a.FLAC", "b.wav", "c.mp3"]
    assert found[0]["labels"] == server.good


def test_a_file_that_is_named_is_sent_whatever_it_is_called(server: Any, folder: Path) -> None:
    assert run(server, folder / "notes.txt") == 0
    assert server.requests[0][2] == b"notes.txt"


def test_the_table_has_a_line_a_clip(server: Any, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(server, folder / "b.wav") == 0
    assert capsys.readouterr().out.startswith(f"{folder / 'b.wav'}: ann 0.900  bob 0.100  (")


def test_labels_of_several_heads_are_named_after_them(
    server: Any, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.otherwise.body = {
        "action": [{"label": "on", "score": 0.75}],
        "object": [{"label": "lamp", "score": 1}],
    }
    clip = str(next(folder.rglob("*.wav")))
    assert run(server, clip) == 0
    assert "action: on 0.750  object: lamp 1.000" in capsys.readouterr().out
    assert run(server, clip, "--format", "jsonl") == 0
    assert json.loads(capsys.readouterr().out)["labels"][1] == {
        "label": "lamp",
        "score": 1.0,
        "head": "object",
    }


def test_json_is_one_document(server: Any, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(server, folder, "--format", "json") == 0
    assert len(json.loads(capsys.readouterr().out)) == 3


def test_csv_has_a_row_a_label_and_one_for_a_failure(
    server: Any, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.will()
    server.will_refuse(415, "unsupported_media")
    clips = [str(folder / "b.wav"), str(folder / "notes.txt")]
    assert run(server, *clips, "--format", "csv", "--concurrency", "1") == 1
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["clip"], row["rank"], row["label"], row["score"]) for row in rows] == [
        (clips[0], "1", "ann", "0.9"),
        (clips[0], "2", "bob", "0.1"),
        (clips[1], "", "", ""),
    ]
    assert rows[2]["error"] == "because of unsupported_media (415 unsupported_media)"


def test_one_bad_clip_does_not_stop_the_others(
    server: Any, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.will_refuse(422, "audio_too_short")
    assert run(server, folder, "--format", "jsonl", "--concurrency", "1") == 1
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert found[0]["error"] == "because of audio_too_short (422 audio_too_short)"
    assert found[0]["code"] == "audio_too_short"
    assert [each["labels"][0]["label"] for each in found[1:]] == ["ann", "ann"]


def test_a_file_that_cannot_be_read_is_that_clips_error(
    server: Any, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "gone.wav").symlink_to(folder / "nowhere")
    names = [str(folder / "gone.wav"), str(folder / "b.wav")]
    results = list(identify.run(Client(server.url), names, 1))
    assert results[0]["code"] == "unreadable_file"
    assert "labels" in results[1]


def test_a_server_that_is_away_ends_the_run_with_3_and_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert identify.main([str(folder), "--url", f"http://127.0.0.1:{port}", "--retries", "1"]) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "cannot reach" in captured.err


def test_json_is_whole_even_if_the_server_goes_away(
    server: Any, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.will()
    server.will(reset=True)
    assert run(server, folder, "--format", "json", "--concurrency", "1") == 3
    assert len(json.loads(capsys.readouterr().out)) == 1


def test_no_answer_in_time_is_that_clips_error(
    server: Any, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.will(delay=1.0)
    assert run(server, folder, "--format", "jsonl", "--concurrency", "1", "--timeout", "2", "0.2") == 1
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each.get("code") for each in found] == ["timed_out", None, None]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("missing", [(), ("rich",), ("rich", "tqdm")], ids=["rich", "tqdm", "neither"])
def test_progress_is_drawn_by_what_is_installed_and_only_where_it_can_be_seen(
    server: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, missing: tuple[str, ...]
) -> None:
    for library in missing:
        for name in [name for name in sys.modules if name == library or name.startswith(f"{library}.")]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, library, None)
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    assert run(server, folder, "--format", "jsonl") == 0
    assert ("identifying" in screen.getvalue()) == (len(missing) < 2)
    assert ("3/3" in screen.getvalue()) == (missing == ("rich",))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.wav"], "no such file or folder: nowhere.wav"),
        (["deep", "--concurrency", "0"], "--concurrency must be 1 or more"),
        (["deep", "--timeout", "0", "1"], "--timeout above 0"),
        (["deep", "--timeout", "5", "nan"], "--timeout above 0"),
        (["empty"], "no audio files"),
        (["deep", "--function-to-apply", "relu"], "invalid choice"),
        ([], "audio"),
    ],
)
def test_wrong_usage_ends_with_2(
    folder: Path,
    arguments: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    (folder / "empty").mkdir()
    with pytest.raises(SystemExit) as caught:
        identify.main(arguments)
    assert caught.value.code == 2
    assert said in capsys.readouterr().err


def test_an_infinite_timeout_is_none(server: Any, folder: Path) -> None:
    """Neither the server's deadline nor a socket takes an infinite number, nor a very large one."""
    for seconds in ("inf", "1e12"):
        assert run(server, folder / "b.wav", "--timeout", seconds, seconds) == 0
    assert ["x-request-timeout" in headers for _, headers, _ in server.requests] == [False, False]


def test_a_folder_that_is_called_like_a_clip_is_searched_and_not_sent(server: Any, folder: Path) -> None:
    (folder / "x.wav").mkdir()
    (folder / "x.wav" / "inside.wav").write_bytes(b"inside")
    assert run(server, folder) == 0
    assert run(server, folder / "x.wav") == 0
    assert [body for *_, body in server.requests].count(b"inside") == 2
    assert len(server.requests) == 5


def output(server: Any, *arguments: str | bytes | Path, **options: Any) -> subprocess.Popen[bytes]:
    """The client as a process, whose terminal is no replacement."""
    command = [sys.executable, identify.__file__, "--url", server.url, "--retries", "0", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


@pytest.mark.parametrize("form", identify.FORMATS)
def test_a_file_name_that_is_not_text_is_sent_and_shown(server: Any, tmp_path: Path, form: str) -> None:
    name = os.path.join(os.fsencode(tmp_path), b"caf\xe9.wav")  # noqa: PTH118  # Latin-1, which no str holds as it is
    with open(name, "wb") as file:  # noqa: PTH123
        file.write(b"coffee")
    said, complained = output(server, tmp_path, "--format", form).communicate(timeout=600)
    assert complained == b""
    assert b"caf\\udce9.wav" in said
    assert server.requests[0][2] == b"coffee"


def test_a_terminal_that_lacks_a_letter_gets_the_rest(server: Any, folder: Path) -> None:
    server.otherwise.body = [{"label": "Zoë", "score": 0.9}]
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    process = output(server, folder / "b.wav", env=environment)
    said, complained = process.communicate(timeout=600)
    assert (process.returncode, complained) == (0, b"")
    assert b"Zo\\xeb 0.900" in said


@pytest.mark.parametrize("form", identify.FORMATS)
def test_nobody_who_reads_on_is_no_traceback(server: Any, folder: Path, form: str) -> None:
    read, write = os.pipe()
    os.close(read)  # as `| head -0` does
    command = [sys.executable, identify.__file__, "--url", server.url, folder, "--format", form]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, timeout=600)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


def test_make_has_nothing_to_say_where_nobody_reads_on(server: Any, folder: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "serving.identify", "--url", server.url, "--", str(folder)]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, timeout=600)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_token_is_taken_from_the_environment(
    server: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(identify.ENVIRONMENT_TOKEN, "s3cret")
    assert run(server, folder / "b.wav") == 0
    assert server.requests[0][1]["authorization"] == "Bearer s3cret"


def test_as_many_are_in_flight_as_asked_for(server: Any, folder: Path) -> None:
    server.will(3, delay=0.3)
    assert run(server, folder, "--concurrency", "2") == 0
    assert server.most_in_flight == 2


def test_the_file_alone_is_enough_and_reads_standard_input(server: Any, tmp_path: Path) -> None:
    copied = tmp_path / "identify.py"
    copied.write_bytes(Path(identify.__file__).read_bytes())
    command = [sys.executable, str(copied), "-", "--url", server.url, "--format", "jsonl"]
    ran = subprocess.run(
        command, input=b"piped", stdout=subprocess.PIPE, cwd=tmp_path, check=True, timeout=600
    )
    assert json.loads(ran.stdout)["clip"] == "-"
    assert server.requests[0][2] == b"piped"
