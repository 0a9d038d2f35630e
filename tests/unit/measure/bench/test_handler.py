"""What `python -m measure.bench.handler` measures, held on the demo model where a ratio is safe from noise."""

import json
from pathlib import Path

import pytest

from bundle import archive
from measure.bench import RESULTS
from measure.bench.handler import FILE, FIRST, LATER, PAGE, first_and_later, model_dir, recording, table
from measure.command import apart
from tests.doubles.demo import demo_speaker

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    build = tmp_path_factory.mktemp("build")
    return model_dir(archive.prepare(demo_speaker(), build), build / "worker")


def test_a_fresh_worker_answers_a_first_request_and_later_ones(folder: Path) -> None:
    times = apart(first_and_later, folder, {}, 1.0)
    assert len(times) == 1 + LATER
    assert all(time > 0 for time in times)


def test_the_document_says_what_the_committed_measurement_says() -> None:
    found = json.loads((RESULTS / FILE).read_text("utf-8"))
    assert PAGE.path.read_text("utf-8") == PAGE.filled(table(found)), f"run python -m {PAGE.command}"
    assert not found["machine"]["dirty"]


def test_no_first_request_takes_half_as_long_again_as_later_ones() -> None:
    found = json.loads((RESULTS / FILE).read_text("utf-8"))
    assert max(max(found[precision][FIRST].values()) for precision in ("fp32", "bf16")) < 1.5


def test_a_recording_is_as_long_as_asked_for() -> None:
    assert len(recording(0.5, 0)) == 44 + 0.5 * 16_000 * 2  # a WAV header and 16-bit samples
