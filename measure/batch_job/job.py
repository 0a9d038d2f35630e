"""`make batch` as a process that is paused, resumed and killed, and the file of answers that it leaves."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from measure import ROOT, MeasureError
from measure.command import last_line

END_SECONDS = 1800.0  # for all that is left


@dataclass(frozen=True)
class Kept:
    """What a file of answers says.

    Attributes:
        clips: different ones that have an answer.
        repeated: lines beyond the first of a clip.
        failed: answers that are errors.
        wrong: answers with another label than the clip has when it is asked for alone.
    """

    clips: int
    repeated: int
    failed: int
    wrong: int


def archive(folder: Path, recordings: Sequence[Path], count: int) -> dict[str, int]:
    """Make a folder of so many clips, which are the recordings in turn; gives the recording of each by name."""
    folder.mkdir()
    of = {f"{number:06d}.wav": number % len(recordings) for number in range(count)}
    for name, which in of.items():
        (folder / name).symlink_to(recordings[which].resolve())
    return of


class Job:
    """One archive's job. It is started again where it was killed.

    Args:
        source: the folder of clips.
        answers: its file of answers.
        url: of the server.
        model: who is asked.
    """

    def __init__(self, source: Path, answers: Path, url: str, model: str) -> None:
        self.answers = answers
        options = ["--in", str(source), "--out", str(answers), "--url", url, "--model", model]
        self._command = [sys.executable, "-m", "clients.batch", *options]
        self._process: subprocess.Popen[str] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def resume(self) -> None:
        """Start it, or go on after a pause; nothing once it has ended."""
        if self._process is None:
            self._process = subprocess.Popen(self._command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        elif self.running:
            self._process.send_signal(signal.SIGCONT)

    def pause(self) -> None:
        if self._process is not None and self.running:
            self._process.send_signal(signal.SIGSTOP)

    def kill(self) -> bool:
        """End it by SIGKILL, whatever it is doing; whether it had not ended by itself."""
        process, self._process = self._process, None
        if process is None:
            return False
        running = process.poll() is None
        process.kill()
        process.communicate()
        return running

    def finish(self) -> None:
        """Wait until every clip has its answer.

        Raises:
            MeasureError: it failed, or takes too long.
        """
        self.resume()
        process = self._process
        assert process is not None
        try:
            _, said = process.communicate(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            raise MeasureError(f"the batch job has not ended after {END_SECONDS:g} s") from None
        if process.returncode != 0:
            raise MeasureError(f"the batch job failed: {last_line(said)}")

    def lines(self) -> int:
        """Answers so far."""
        return self.answers.read_bytes().count(b"\n") if self.answers.exists() else 0


def kept(answers: Path, expected: Mapping[str, str]) -> Kept:
    """Judge a file of answers.

    Args:
        answers: the file.
        expected: the label of each clip.
    """
    records = [json.loads(line) for line in answers.read_bytes().splitlines()]
    times = Counter(record["clip"] for record in records)
    answered = [record for record in records if "error" not in record]
    return Kept(
        clips=len(times),
        repeated=len(records) - len(times),
        failed=len(records) - len(answered),
        wrong=sum(record["labels"][0]["label"] != expected.get(record["clip"]) for record in answered),
    )
