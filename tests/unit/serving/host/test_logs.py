"""Logs outlive the next starts, and none grows without end."""

from __future__ import annotations

import stat
from pathlib import Path

from serving.host import logs


def start(run: Path, text: str) -> None:
    logs.keep(run)
    (run / logs.FOLDER).mkdir(parents=True)
    (run / logs.FOLDER / "ts_log.log").write_text(text)
    for name in (logs.JVM, logs.GATEWAY, logs.ACCESS):
        (run / name).write_text(text)
    (run / "gateway.1.log").write_text(text)


def test_the_last_starts_logs_are_kept_the_latest_first_and_no_more(tmp_path: Path) -> None:
    for number in range(1, 7):
        start(tmp_path, f"start {number}")
    earlier = tmp_path / logs.EARLIER
    kept = {int(folder.name): (folder / logs.JVM).read_text() for folder in earlier.iterdir()}
    assert kept == {1: "start 5", 2: "start 4", 3: "start 3"}
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (earlier, *earlier.iterdir())} == {0o700}
    names = {path.relative_to(earlier / "1").as_posix() for path in (earlier / "1").rglob("*")}
    assert names == {
        "logs",
        "logs/ts_log.log",
        "jvm.log",
        "gateway.log",
        "gateway.1.log",
        "gateway_access.log",
    }
    assert stat.S_IMODE((earlier / "1").stat().st_mode) == 0o700


def test_a_first_start_keeps_nothing(tmp_path: Path) -> None:
    logs.keep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_log_whose_writer_opens_no_other_is_copied_and_emptied(tmp_path: Path) -> None:
    log = tmp_path / logs.JVM
    with log.open("ab", buffering=0) as writer:
        writer.write(b"x" * 11)
        logs.cut(log, limit=11)
        assert log.stat().st_size == 11
        writer.write(b"y")
        logs.cut(log, limit=11)
        writer.write(b"z")
    assert log.read_bytes() == b"z"  # no hole of zeros before it
    assert logs.rotated(log).read_bytes() == b"x" * 11 + b"y"
    assert stat.S_IMODE(logs.rotated(log).stat().st_mode) == 0o600
