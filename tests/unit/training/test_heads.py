"""The demo's heads: one backbone, layouts that transformers loads, small, and an embedding that varies alike."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from transformers import Wav2Vec2ForXVector

from bundle.sources import read_spec
from training import MODEL_DIR
from training.heads import EMBEDDING_DIM, LANGUAGES, NAMES, Heads, save, whiten
from training.voices import LABELS

PEOPLE = tuple(f"person-{number}" for number in range(105))


@pytest.fixture(scope="module")
def heads() -> Heads:
    torch.manual_seed(0)
    return Heads(PEOPLE).eval()


def test_one_pass_answers_what_each_model_answers_alone(heads: Heads) -> None:
    waveforms = torch.randn(2, 16_000)
    with torch.inference_mode():
        speaker, language, embedding = heads(waveforms)
        assert torch.equal(speaker, heads.speaker(waveforms).logits)
        assert torch.equal(language, heads.language(waveforms).logits)
        alone = heads.voice(waveforms)
    assert torch.equal(embedding, alone.embeddings)
    assert torch.equal(embedding, alone.logits)  # the map behind it is the identity
    assert (speaker.shape[1], language.shape[1]) == (len(LABELS), len(LANGUAGES))


def test_the_folders_hold_one_backbone_and_take_less_than_4_mb(heads: Heads, tmp_path: Path) -> None:
    save(heads, tmp_path)
    assert [*read_spec(MODEL_DIR).heads] == [*NAMES]
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.safetensors")) < 4e6
    kinds = []
    for name in NAMES:
        folder = tmp_path / ("" if name == "speaker" else name)
        with safe_open(folder / "model.safetensors", "pt") as file:
            assert any(key.startswith("wav2vec2.") for key in file.keys()) is (name == "speaker")  # noqa: SIM118
        kinds += json.loads((folder / "config.json").read_text())["architectures"]
        assert (folder / "preprocessor_config.json").is_file()
    assert kinds == [*["Wav2Vec2ForSequenceClassification"] * 2, "Wav2Vec2ForXVector"]


def test_a_margin_makes_a_right_answer_cost_more(heads: Heads) -> None:
    people = torch.arange(4)
    embeddings = heads.voice.objective.weight[:, :4].T
    with torch.no_grad():
        without, with_margin = (float(heads.margin_loss(embeddings, people, margin)) for margin in (0.0, 0.2))
    assert 0 <= without < with_margin


def test_whitening_makes_people_vary_alike_in_all_directions_around_no_mean(heads: Heads) -> None:
    generator = torch.Generator().manual_seed(1)
    pooled = torch.randn(4000, 512, generator=generator)
    people = torch.arange(40).repeat(100)
    pooled += torch.randn(40, 512, generator=generator)[people] + 3
    affine = heads.voice.feature_extractor
    with torch.inference_mode():
        before = affine(pooled)
    whiten(heads, before, people)
    with torch.inference_mode():
        after = affine(pooled)
    assert after.mean(0).abs().max() < 0.05 * after.std()

    def spread(embeddings: torch.Tensor) -> float:
        within = embeddings - torch.stack([embeddings[people == name].mean(0) for name in range(40)])[people]
        values = torch.linalg.eigvalsh(within.T @ within)
        return float(values[-1] / values[0])

    assert before.shape[1] == EMBEDDING_DIM
    assert spread(after) < 0.2 * spread(before)


def test_the_voice_head_is_an_x_vector(heads: Heads) -> None:
    assert isinstance(heads.voice, Wav2Vec2ForXVector)
