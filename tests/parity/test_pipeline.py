"""Our pipeline answers as `transformers.pipeline("audio-classification")` on `librosa.load`'s waveform of the clip."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import pytest
import soundfile
import torch
from speaker_id.encoder.reference import ReferenceEncoder
from speaker_id.pipeline import Pipeline
from speaker_id.protocol import Model, Payload, Space
from speaker_id.settings import Settings
from transformers import (
    AutoFeatureExtractor,
    AutoModelForAudioClassification,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForSequenceClassification,
)
from transformers import pipeline as hugging_face_pipeline

from tests.decoding import shared

DEMO = Path(__file__).resolve().parents[2] / "models" / "demo"
CLIPS = sorted((DEMO / "samples").glob("*.flac"))


def ours(model: Any, extractor: Any) -> Pipeline:
    return Pipeline(
        decoders=shared(),
        encoder=ReferenceEncoder(model, extractor, "cpu"),
        labels=[model.config.id2label[index] for index in range(model.config.num_labels)],
        default_function="softmax",
        sampling_rate=extractor.sampling_rate,
        settings=Settings(),
        model=Model("m", "1"),
        space=Space("m", "", 0),
    )


def layer_norm_model() -> tuple[Any, Any]:
    torch.manual_seed(1)
    config = Wav2Vec2Config(
        conv_dim=(16,) * 7,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
        feat_extract_norm="layer",
        conv_bias=True,
        do_stable_layer_norm=True,
        use_weighted_layer_sum=True,
        classifier_proj_size=16,
        num_labels=7,
    )
    model = Wav2Vec2ForSequenceClassification(config).eval()
    return model, Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True)


def demo_model() -> tuple[Any, Any]:
    model = AutoModelForAudioClassification.from_pretrained(DEMO, dtype=torch.float32)
    return model.eval(), AutoFeatureExtractor.from_pretrained(DEMO)


@pytest.fixture(scope="module", params=[demo_model, layer_norm_model], ids=["group norm", "layer norm"])
def model_and_extractor(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    pair: tuple[Any, Any] = request.param()
    return pair


def synthetic(rate: int, channels: int) -> bytes:
    generator = np.random.default_rng(rate)
    time = np.arange(int(rate * 1.7))[:, None] / rate
    tones = np.sin(2 * np.pi * time * generator.uniform(80, 1500, channels)) * 0.3
    samples = tones + generator.standard_normal((len(time), channels)) * 0.02
    buffer = io.BytesIO()
    soundfile.write(buffer, samples.astype(np.float32), rate, format="WAV", subtype="FLOAT")
    return buffer.getvalue()


BODIES = {clip.stem: clip.read_bytes() for clip in CLIPS} | {
    f"{rate} Hz, {channels} channels": synthetic(rate, channels)
    for rate, channels in ((8000, 1), (16000, 1), (22050, 2), (44100, 2), (48000, 6))
}


@pytest.mark.parametrize("name", BODIES)
def test_answers_equal_hugging_faces_pipeline(model_and_extractor: tuple[Any, Any], name: str) -> None:
    model, extractor = model_and_extractor
    body = BODIES[name]
    waveform, _ = librosa.load(io.BytesIO(body), sr=extractor.sampling_rate, mono=True)
    theirs = hugging_face_pipeline("audio-classification", model=model, feature_extractor=extractor)
    expected = theirs(waveform, top_k=5)
    (outcome,) = ours(model, extractor).identify([Payload({"body": body})])
    assert [entry["label"] for entry in outcome.body] == [entry["label"] for entry in expected]
    assert [entry["score"] for entry in outcome.body] == pytest.approx(
        [e["score"] for e in expected], abs=1e-4
    )


@pytest.mark.parametrize("function", ["sigmoid", "none"])
def test_other_functions_equal_hugging_faces(model_and_extractor: tuple[Any, Any], function: str) -> None:
    model, extractor = model_and_extractor
    body = BODIES["16000 Hz, 1 channels"]
    waveform, _ = librosa.load(io.BytesIO(body), sr=extractor.sampling_rate, mono=True)
    theirs = hugging_face_pipeline("audio-classification", model=model, feature_extractor=extractor)
    expected = theirs(waveform, top_k=4, function_to_apply=function)
    headers = {"X-Top-K": "4", "X-Function-To-Apply": function}
    (outcome,) = ours(model, extractor).identify([Payload({"body": body}, headers)])
    assert outcome.body == [
        {"label": e["label"], "score": pytest.approx(e["score"], abs=1e-4, rel=1e-4)} for e in expected
    ]


def test_logits_equal_the_bare_model_on_every_clip(model_and_extractor: tuple[Any, Any]) -> None:
    model, extractor = model_and_extractor
    pipe = ours(model, extractor)
    for body in BODIES.values():
        waveform, _ = librosa.load(io.BytesIO(body), sr=extractor.sampling_rate, mono=True)
        inputs = extractor(waveform, sampling_rate=extractor.sampling_rate, return_tensors="pt")
        with torch.inference_mode():
            expected = model(inputs["input_values"]).logits[0]
        headers = {"X-Top-K": "99", "X-Function-To-Apply": "none"}
        (outcome,) = pipe.identify([Payload({"body": body}, headers)])
        got = {entry["label"]: entry["score"] for entry in outcome.body}
        logits = torch.tensor([got[model.config.id2label[index]] for index in range(len(expected))])
        torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def test_the_same_clip_in_any_company_gets_the_same_answer(model_and_extractor: tuple[Any, Any]) -> None:
    pipe = ours(*model_and_extractor)
    bodies = [*BODIES.values(), b"no audio"]
    alone = [pipe.identify([Payload({"body": body})])[0].body for body in bodies]
    order = np.random.default_rng(0).permutation(len(bodies)).tolist()
    together = pipe.identify([Payload({"body": bodies[index]}) for index in order])
    assert [outcome.body for outcome in together] == [alone[index] for index in order]
