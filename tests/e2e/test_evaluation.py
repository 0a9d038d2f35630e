"""`make evaluate` and `make robustness` on the demo model, through a real server and without one."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bundle import sources
from bundle.samples import samples
from measure.evaluation import corpus
from measure.evaluation.conditions import CLEAN, CONDITIONS
from measure.evaluation.endpoint import Endpoint
from measure.evaluation.journal import Entry
from measure.evaluation.local import Local
from measure.evaluation.question import Answerer, Question
from measure.evaluation.report import read
from serving import state
from serving.gateway.envoy import Gateway

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "models" / "demo" / "samples"
CARD = json.loads((ROOT / "models" / "demo" / "evaluation.json").read_text())
CLIPS = corpus.load(SAMPLES / "manifest.csv").clips


def ask(answerer: Answerer, condition: str = CLEAN) -> dict[str, Entry]:
    return {entry.clip: entry for entry in answerer.answers([Question(clip, condition) for clip in CLIPS])}


@pytest.fixture(scope="module")
def local() -> Local:
    return Local(sources.resolve("demo", root=ROOT / "models"))


@pytest.fixture(scope="module")
def endpoint(gateway: Gateway) -> Endpoint:
    return Endpoint(gateway.url, "demo", concurrency=3)


@pytest.mark.parametrize("through", ["endpoint", "local"])
def test_every_held_out_sample_gets_the_probability_of_the_models_card(
    through: str, request: pytest.FixtureRequest
) -> None:
    answers = ask(request.getfixturevalue(through))
    assert len(answers) == len(samples(SAMPLES)) == 16
    for clip in CLIPS:
        label, score = answers[clip.name].ranking[0]
        (expected,) = (each["guarded"] for each in CARD["samples"] if each["clip"] == clip.name)
        assert label == clip.speaker
        assert score == pytest.approx(expected, abs=1e-3)


def test_the_endpoint_and_the_process_give_the_same_numbers_under_every_condition(
    endpoint: Endpoint, local: Local
) -> None:
    asked = [Question(clip, condition) for clip in CLIPS[::5] for condition in CONDITIONS]
    served, here = (
        {(entry.clip, entry.condition): dict(entry.ranking) for entry in answerer.answers(asked)}
        for answerer in (endpoint, local)
    )
    assert served.keys() == here.keys()
    for key, ranking in served.items():
        assert ranking == pytest.approx(here[key], abs=1e-4), key


def test_both_are_known_by_the_same_probe(endpoint: Endpoint, local: Local) -> None:
    ours, theirs = local.identity(), endpoint.identity()
    assert dict(ours.probe) == pytest.approx(dict(theirs.probe), rel=1e-3)
    assert (theirs.model, theirs.version, theirs.through) == ("demo", "2.0", "endpoint")
    assert (ours.model, ours.version, ours.through) == ("demo", "2.0", "local")


def test_what_the_server_refuses_is_a_failure_in_its_own_words_and_the_process_says_the_same(
    endpoint: Endpoint, local: Local, tmp_path: Path
) -> None:
    (tmp_path / "notes.wav").write_text("no audio at all")
    clips = [corpus.LabelledClip("notes.wav", tmp_path / "notes.wav", "ann"), CLIPS[0]]
    for answerer in (endpoint, local):
        answers = {entry.clip: entry for entry in answerer.answers([Question(clip, CLEAN) for clip in clips])}
        error = answers["notes.wav"].error
        assert error is not None
        assert error[0] == "unsupported_media"
        assert answers[CLIPS[0].name].error is None


def test_a_full_queue_is_waited_for_and_costs_no_clip(stub_gateway: Gateway, tmp_path: Path) -> None:
    names = [f"{number}.wav" for number in range(10)]
    for name in names:
        (tmp_path / name).write_bytes(b"sleep 0.2")
    narrow = Endpoint(stub_gateway.url, "narrow", concurrency=10)
    asked = [Question(corpus.LabelledClip(name, tmp_path / name, "stub"), CLEAN) for name in names]
    answers = list(narrow.answers(asked))
    assert sorted(entry.clip for entry in answers) == names
    assert {(entry.error, entry.ranking[0]) for entry in answers} == {(None, ("stub", 1.0))}
    assert max(entry.seconds for entry in answers) > 2.0  # ten turns of 0.2 s behind a queue of two


Run = Callable[..., subprocess.CompletedProcess[str]]


def test_with_no_server_it_starts_one_and_leaves_nothing_but_its_results(
    run: Run, checkout: Path, temp: Path
) -> None:
    ran = run("-m", "measure.evaluation", "--robustness", "--limit", "3")
    assert ran.returncode == 0, ran.stderr
    assert "A sample of 3 of 16 clips" in ran.stdout
    for condition in CONDITIONS:
        assert condition in ran.stdout
    folder = checkout / "reports" / "evaluation" / "demo-2.0-endpoint-samples"
    found = read(folder / "report.json")
    assert found.clean.top1.right == 3
    assert (folder / "robustness.png").is_file()
    assert list((checkout / state.RUN).iterdir()) == []
    assert list(temp.glob("speaker-id-*")) == []
    shutil.rmtree(folder)
