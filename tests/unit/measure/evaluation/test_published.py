"""`make verify-published` against a stand-in of the hub: what is checked, and when it is skipped instead."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import soundfile

from measure.evaluation.published import DATASETS, KNOWN, REVISIONS, Found, Known, from_folder, rows, waveform
from tests.doubles.checkpoints import write_checkpoint
from tests.doubles.hub import Hub, Repo, hub

ROOT = Path(__file__).resolve().parents[4]
MODEL, COMMIT = "superb/wav2vec2-base-superb-sid", "ab" * 20
LABELS = tuple(f"id{number}" for number in range(10001, 11252))
CLIPS = [
    np.random.default_rng(seed).normal(0, 0.1, 16_000 + 4_000 * seed).astype(np.float32) for seed in range(5)
]

# the program as it stands; then with the answers that it knows taken from what the test's checkpoint really answers
TAUGHT = """
import sys
from measure.evaluation import published
assert published.main([]) == 1
published.KNOWN = tuple(
    published.Known(found.label, found.logit)
    for found in published.ask(published.clips())
    if found.encoder == "reference"
)
sys.exit(published.main([]))
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


def parquet(path: Path) -> bytes:
    table = pyarrow.table({"speech": [clip.tolist() for clip in CLIPS], "label": list(range(len(CLIPS)))})
    pyarrow.parquet.write_table(table, path)
    return path.read_bytes()


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[Hub]:
    with hub() as running:
        checkpoint = write_checkpoint(tmp_path / "published", pickled=True, labels=LABELS)
        running.publish(MODEL, checkpoint, COMMIT)
        yield running


@pytest.fixture
def run(stand_in: Hub, tmp_path: Path) -> Run:
    """The program in a folder of its own, at the stand-in unless told otherwise."""
    work = tmp_path / "work"
    (work / "models" / "wav2vec2-base-superb-sid").mkdir(parents=True)
    (work / "models" / "wav2vec2-base-superb-sid" / "model.yaml").symlink_to(
        ROOT / "models" / "wav2vec2-base-superb-sid" / "model.yaml"
    )
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    ours = {"HF_ENDPOINT": stand_in.endpoint, "HF_HOME": str(tmp_path / "hf"), "NO_PROXY": "127.0.0.1"}
    ours["PYTHONPATH"] = f"{ROOT}{os.pathsep}{ROOT / 'handler'}"

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *(arguments or ("-m", "measure.evaluation.published"))],
            cwd=work,
            env=inherited | ours | environment,
            capture_output=True,
            text=True,
            timeout=600,
        )

    return run


def publish_clips(stand_in: Hub, tmp_path: Path, repo: str, revision: str, name: str) -> None:
    commit = "cd" * 20
    published = stand_in.repos.setdefault(repo, Repo())
    published.commits[commit] = {name: parquet(tmp_path / "clips.parquet")}
    published.branches[revision] = commit


def test_both_encoders_are_held_to_the_known_answers(stand_in: Hub, tmp_path: Path, run: Run) -> None:
    publish_clips(stand_in, tmp_path, DATASETS[0], "main", "si/test-00000-of-00001.parquet")
    ran = run("-c", TAUGHT)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    before, _, after = ran.stdout.partition("verify-published: they differ")
    assert before.count("differs") == after.count(" agrees") == 8
    assert after.count("reference") == after.count("serving") == 4


def test_the_clips_are_also_found_where_the_hub_keeps_what_it_converted(
    stand_in: Hub, tmp_path: Path, run: Run
) -> None:
    publish_clips(stand_in, tmp_path, DATASETS[1], REVISIONS[1], "si/test/0000.parquet")
    ran = run(
        "-c", "from measure.evaluation import published; print([len(clip) for clip in published.clips()])"
    )
    assert ran.stdout == "[16000, 20000, 24000, 28000]\n", ran.stderr


def test_a_hub_without_the_clips_is_an_error_that_says_what_to_do(run: Run) -> None:
    ran = run()
    assert ran.returncode == 1
    assert 'ARGS="--clips folder"' in ran.stderr
    assert "Traceback" not in ran.stderr


def test_clips_of_ones_own_are_taken_by_their_names(tmp_path: Path) -> None:
    for name, clip in zip("badce", CLIPS, strict=True):
        soundfile.write(tmp_path / f"{name}.wav", clip, 16_000)
    assert [len(clip) for clip in from_folder(tmp_path)] == [20_000, 16_000, 28_000, 24_000]


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"HF_ENDPOINT": "http://127.0.0.1:9"}, "skipped: http://127.0.0.1:9 cannot be reached"),
        ({"HF_HUB_OFFLINE": "1"}, "skipped: HF_HUB_OFFLINE is set"),
    ],
)
def test_without_the_hub_it_is_skipped_with_the_reason(
    run: Run, environment: dict[str, str], said: str
) -> None:
    ran = run(**environment)
    assert ran.returncode == 77
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr


def test_an_answer_agrees_within_a_hundredth() -> None:
    known = Known(3, 31.7778)
    assert Found("serving", 0, 3, 31.7870).agrees(known)
    assert not Found("serving", 0, 3, 31.7890).agrees(known)
    assert not Found("serving", 0, 4, 31.7778).agrees(known)


def test_what_is_known_is_what_transformers_own_test_states() -> None:
    assert [(known.label, known.logit) for known in KNOWN] == [
        (251, 37.5627),
        (1, 71.6362),
        (1, 64.2419),
        (3, 31.7778),
    ]


def test_the_first_four_rows_are_the_clips(tmp_path: Path) -> None:
    parquet(tmp_path / "clips.parquet")
    found = [waveform(row) for row in rows(tmp_path / "clips.parquet")]
    assert len(found) == 4
    assert all(np.array_equal(one, other) for one, other in zip(found, CLIPS, strict=False))


def test_a_row_may_hold_a_file_instead(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "clip.wav", CLIPS[0], 16_000, subtype="FLOAT")
    row: dict[str, object] = {"audio": {"bytes": (tmp_path / "clip.wav").read_bytes(), "path": "clip.wav"}}
    assert np.array_equal(waveform(row), CLIPS[0])
