"""What a clip shares a batch with changes nothing of its answer, and these tests would notice if it did."""

from __future__ import annotations

import gc
import weakref
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from speaker_id.clip import MAX_LEVEL, Waveform
from speaker_id.encoder.packed import PackedEncoder
from speaker_id.encoder.packed.batched import BatchedOperators
from speaker_id.encoder.packed.batched.layout import Layout
from speaker_id.encoder.packed.team import Team
from speaker_id.encoder.packed.transformer import TransformerLayer
from torch import Tensor

from tests.parity.families import (
    BATCHED,
    COMPANY_BOUND,
    GPU,
    ONEDNN,
    PLACES,
    PORTABLE,
    REFERENCE_BOUND,
    alone,
    clip,
    distance,
    extractor,
    packed,
    reference,
    small,
)

FAMILIES = {
    "group norm": {"use_weighted_layer_sum": True},
    "layer norm": {
        "use_weighted_layer_sum": True,
        "feat_extract_norm": "layer",
        "do_stable_layer_norm": True,
        "conv_bias": True,
    },
}
LENGTHS = (400, 640_000, 719, 16_000, 23_456, 720, 51_000, 400, 8000)


@pytest.fixture(scope="module", params=FAMILIES)
def model(request: pytest.FixtureRequest) -> Any:
    return small("wav2vec2", **FAMILIES[request.param])


@pytest.fixture(scope="module", params=PLACES)
def encoder(request: pytest.FixtureRequest, model: Any) -> PackedEncoder:
    return packed(model, extractor(do_normalize=False), request.param)


@pytest.fixture(scope="module")
def batch() -> list[Waveform]:
    return [clip(samples, seed) for seed, samples in enumerate(LENGTHS)]


@pytest.fixture(scope="module")
def lone(encoder: PackedEncoder, batch: list[Waveform]) -> Tensor:
    return alone(encoder, batch)


def test_permuting_a_batch_changes_no_answer(
    encoder: PackedEncoder, batch: list[Waveform], lone: Tensor
) -> None:
    for seed in range(4):
        order = np.random.default_rng(seed).permutation(len(batch))
        assert distance(encoder([batch[i] for i in order]), lone[order]) < COMPANY_BOUND


def test_growing_a_batch_changes_no_answer(
    encoder: PackedEncoder, batch: list[Waveform], lone: Tensor
) -> None:
    for size in range(1, len(batch) + 1):
        assert distance(encoder(batch[:size]), lone[:size]) < COMPANY_BOUND


def test_sixteen_copies_of_a_clip_get_one_answer(encoder: PackedEncoder) -> None:
    logits = encoder([clip(9000)] * 16)
    assert distance(logits, logits[:1].expand(16, -1)) < COMPANY_BOUND


NEIGHBOURS = {
    "NaN": np.full(9000, np.nan, np.float32),
    "infinity": np.full(9000, np.inf, np.float32),
    "the loudest noise there is": (clip(9000) > 0) * np.float32(2) - np.float32(1),
    "the largest numbers there are": np.where(clip(9000) > 0, 3.4e38, -3.4e38).astype(np.float32),
    "silence": np.zeros(9000, np.float32),
    "a constant": np.full(9000, 0.5, np.float32),
}


@pytest.mark.parametrize("kind", NEIGHBOURS)
@pytest.mark.parametrize("samples", [9000, 400])
def test_no_neighbour_changes_an_answer(
    encoder: PackedEncoder, batch: list[Waveform], lone: Tensor, kind: str, samples: int
) -> None:
    """On both sides, and one frame long too, where neighbours share every tile of every matrix product."""
    neighbour = NEIGHBOURS[kind][:samples]
    logits = encoder([neighbour, batch[4], neighbour, batch[0], neighbour, batch[8], neighbour])
    assert distance(logits[[1, 3, 5]], lone[[4, 0, 8]]) < COMPANY_BOUND


@pytest.mark.parametrize("kind", ["silence", "a constant", "the loudest noise there is"])
def test_extreme_clips_themselves_are_answered_as_by_transformers(
    model: Any, encoder: PackedEncoder, kind: str
) -> None:
    waves = [NEIGHBOURS[kind]]
    assert distance(encoder(waves), reference(model, extractor(False), waves)) < REFERENCE_BOUND


def test_a_quiet_clip_on_a_large_offset_is_answered_as_by_transformers(
    model: Any, encoder: PackedEncoder
) -> None:
    waves = [clip(16_000) * np.float32(0.01) + np.float32(0.9)]
    assert distance(encoder(waves), reference(model, extractor(False), waves)) < REFERENCE_BOUND


@pytest.mark.parametrize("family", ["group norm", "layer norm"])
def test_the_loudest_samples_that_are_accepted_overflow_in_no_model_that_normalises(family: str) -> None:
    model = small("wav2vec2", **FAMILIES[family])
    wave = clip(16_000)
    loud = (wave * np.float32(MAX_LEVEL / np.abs(wave).max())).astype(np.float32)
    encoder = PackedEncoder(model, extractor(True), "cpu")
    assert distance(encoder([loud]), encoder([wave])) < REFERENCE_BOUND


def test_a_clip_of_two_minutes_is_answered_as_by_transformers() -> None:
    model = small("wav2vec2", **FAMILIES["group norm"], num_hidden_layers=1)
    waves = [clip(120 * 16_000)]
    for place in (PORTABLE, ONEDNN, *[GPU] * torch.cuda.is_available()):
        encoder = packed(model, extractor(True), place)
        assert distance(encoder(waves), reference(model, extractor(True), waves)) < REFERENCE_BOUND


def test_these_tests_notice_attention_that_looks_at_a_neighbour(
    encoder: PackedEncoder, batch: list[Waveform], lone: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first two clips as if they were one."""
    honest = TransformerLayer.attend

    def leak(self: TransformerLayer, qkv: Tensor, spans: list[slice], team: Team) -> Tensor:
        return honest(self, qkv, [slice(spans[0].start, spans[1].stop), *spans[2:]], team)

    def leak_on_gpu(self: BatchedOperators, qkv: Tensor, layout: Layout, heads: int) -> Tensor:
        frames = [layout[1].stop, *(span.stop - span.start for span in layout[2:])]
        one = Layout([1] * len(frames), frames, layout.hop, layout.device)
        return self.attend_in_turn(qkv, one, heads)

    pair = [batch[3], batch[4]]
    assert distance(encoder(pair), lone[[3, 4]]) < COMPANY_BOUND
    monkeypatch.setattr(TransformerLayer, "attend", leak)
    for layer in encoder.layers:
        monkeypatch.setattr(layer, "attend_batch", partial(leak_on_gpu, encoder.operators), raising=False)
    assert distance(encoder(pair), lone[[3, 4]]) > 10 * REFERENCE_BOUND


def test_the_encoder_keeps_no_module_of_the_model_alive() -> None:
    model = small("hubert", **FAMILIES["group norm"])
    modules = [weakref.ref(module) for module in model.modules()]
    encoder = PackedEncoder(model, extractor(False), "cpu")
    del model
    gc.collect()
    assert not any(reference() for reference in modules)
    assert encoder([clip(800)]).isfinite().all()


def test_the_model_is_left_as_it_was() -> None:
    model = small("wav2vec2", **FAMILIES["group norm"])
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for place in (PORTABLE, ONEDNN, BATCHED):
        packed(model, extractor(False), place)([clip(5000)])
    after = model.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_change_no_answer(
    model: Any, encoder: PackedEncoder, batch: list[Waveform], lone: Tensor, threads: int
) -> None:
    """Heads are shared out unevenly over three threads, and clips of a few frames not at all."""
    if encoder.operators.whole:
        pytest.skip("the batched back end has one thread")
    if encoder.operators.device.type != "cpu":
        pytest.skip("a GPU is given its work by one thread")
    torch.set_num_threads(threads)
    try:
        shared = PackedEncoder(model, extractor(False), "cpu", backend=encoder.operators.name)
        assert shared.team.threads == threads
        assert distance(shared(batch), lone) < COMPANY_BOUND
        assert distance(alone(shared, batch), lone) < COMPANY_BOUND
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize("samples", [400, 720, 12_345])
def test_no_product_is_of_a_lone_row(
    encoder: PackedEncoder, samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The libraries multiply one row by other code, which rounds differently than in company."""
    seen: list[int] = []
    honest = TransformerLayer.project

    def spy(self: TransformerLayer, rows: Tensor) -> Tensor:
        seen.append(len(rows))
        return honest(self, rows)

    monkeypatch.setattr(TransformerLayer, "project", spy)
    assert encoder([clip(samples)]).shape == (1, 11)
    assert min(seen) > 1
