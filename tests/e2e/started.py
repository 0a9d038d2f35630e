"""One `make serve` as a process: what it said, what belongs to it, and whether all of that is gone."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import requests

from bundle import archive
from serving import state
from serving.host import ports
from serving.host.leash import Leashed, watches
from serving.host.ports import LOOPBACK
from serving.host.processes import Identity

ROOT = Path(__file__).resolve().parent.parent.parent
CLIPS = sorted((ROOT / "models" / "demo" / "samples").glob("*.flac"))
STUB = str(Path(__file__).with_name("serve_stub.py"))
# model.yaml of the demo's speaker head as a model by itself, in a folder beside models/
TWIN = """\
source: ../models/demo
unknown: {method: relative, fpir: 7%, file: ../models/demo/guard-speaker.safetensors}
"""


Run = Callable[..., subprocess.CompletedProcess[str]]


def copy_checkpoint(converted: Path, checkout: Path) -> None:
    """A converted model and its heads into a checkout: what converts them again takes seconds to import."""
    for part in converted.parent.glob(f"{converted.name.partition('-')[0]}[.-]*"):
        shutil.copytree(part, checkout / archive.CHECKPOINTS / part.name)


def belongings(process: Leashed) -> list[Identity]:
    """All its descendants now, except the shell that ends it with these tests."""
    mine = psutil.Process(process.pid)
    of_tests = [each for each in mine.children() if watches(each)]
    return [Identity.of(each) for each in mine.children(recursive=True) if each not in of_tests]


@dataclass
class Serve:
    """One `make serve` as a process, and everything that it wrote."""

    process: Leashed
    output: Path
    folder: Path
    port: int

    @property
    def said(self) -> str:
        return self.output.read_text()

    def ask(self, body: bytes, model: str = "stub") -> requests.Response:
        return self.post(f"/predictions/{model}", body)

    def post(self, path: str, body: bytes) -> requests.Response:
        return requests.post(f"http://{LOOPBACK}:{self.port}{path}", body, timeout=600)

    def get(self, path: str) -> requests.Response:
        return requests.get(f"http://{LOOPBACK}:{self.port}{path}", timeout=600)

    def state(self) -> state.State | None:
        return state.read(self.folder / state.FILE)

    def wait_for(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 600
        while not condition():
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.02)

    def belongings(self) -> tuple[list[Identity], list[Path]]:
        """This process and all its descendants, and its temp folders, now."""
        found = self.state()
        assert found
        family = [Identity.of(psutil.Process(self.process.pid)), *belongings(self.process)]
        return family, [Path(folder) for folder in found.temp]

    def assert_gone(self, family: list[Identity], temp: list[Path]) -> None:
        assert [each.pid for each in family if each.alive] == []
        assert [folder for folder in temp if folder.exists()] == []
        assert self.state() is None
        assert not ports.is_taken(self.port)


StartServe = Callable[..., Serve]
