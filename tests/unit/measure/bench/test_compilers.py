"""What torch's compiler and those that plug into it are told, and that clips are answered one by one, unpadded."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._inductor import config

from measure import Unavailable
from measure.bench import compilers
from tests.unit.measure.bench.installed import beside
from tests.unit.measure.bench.processors import needs_exact_sums

FOLDER = Path("checkpoint")
CLIPS = [np.arange(length, dtype=np.float32) for length in (3, 5)]


class Toy(nn.Module):
    """(1, samples) → logits (1, 2): a product, which autocast takes, and the samples."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(1, 1, bias=False)
        nn.init.ones_(self.linear.weight)
        self.dtypes: list[torch.dtype] = []

    def forward(self, samples: Tensor) -> Any:
        summed = self.linear(samples.sum(1, keepdim=True))
        self.dtypes.append(summed.dtype)
        return SimpleNamespace(logits=torch.cat([summed, torch.tensor([[float(samples.shape[1])]])], 1))


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Toy]:
    """What is loaded; its clips are normalised to twice their samples."""
    model = Toy()
    monkeypatch.setattr("speaker_id.checkpoint.load", lambda folder: SimpleNamespace(model=model))
    monkeypatch.setattr(compilers, "extractor", lambda folder: lambda clip: 2 * clip[None])
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    with config.patch(freezing=False):
        yield model


@pytest.fixture
def told(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What torch's compiler and its threads are set to; the compiler leaves the model as it is."""
    found: dict[str, Any] = {}

    def compile_(model: nn.Module, **options: Any) -> nn.Module:
        found.update(options, training=model.training, freezing=config.freezing)
        return model

    monkeypatch.setattr(torch, "compile", compile_)
    monkeypatch.setattr(torch, "set_num_threads", lambda threads: found.update(threads=threads))
    return found


def test_a_model_is_compiled_frozen_for_clips_of_any_length(toy: Toy, told: dict[str, Any]) -> None:
    compilers.compiled(FOLDER, 3, "fp32", "some-backend")
    assert told == {
        **{"backend": "some-backend", "dynamic": True},
        **{"threads": 3, "freezing": True, "training": False},
    }


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_clips_are_normalised_and_computed_one_by_one_in_the_precision(
    toy: Toy, told: dict[str, Any], precision: Any, dtype: torch.dtype
) -> None:
    logits = compilers.compiled(FOLDER, 1, precision, "inductor")(CLIPS)
    assert logits.tolist() == [[6.0, 3.0], [20.0, 5.0]]
    assert logits.dtype == np.float32
    assert toy.dtypes == [dtype, dtype]


def test_a_model_is_changed_before_it_is_compiled(toy: Toy, told: dict[str, Any]) -> None:
    def change(model: Any) -> None:
        assert told.get("backend") is None
        nn.init.zeros_(model.model.linear.weight)

    encode = compilers.compiled(FOLDER, 1, "fp32", "inductor", change)
    assert encode(CLIPS).tolist() == [[0.0, 3.0], [0.0, 5.0]]


def test_without_a_cpp_compiler_it_takes_no_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(Unavailable, match=r"needs a C\+\+ compiler: apt install g\+\+"):
        compilers.compiled(FOLDER, 1, "fp32", "inductor")


@pytest.mark.parametrize(
    ("library", "load"),
    [
        ("zentorch", lambda: compilers.zentorch(FOLDER, 1, "fp32")),
        ("torchao.quantization", lambda: compilers.torchao(FOLDER, 1)),
    ],
)
def test_without_its_package_a_plugin_takes_no_part(
    monkeypatch: pytest.MonkeyPatch, library: str, load: Any
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(Unavailable, match=library):
        load()


def test_amds_plugin_is_a_back_end_of_torchs_compiler(
    monkeypatch: pytest.MonkeyPatch, told: dict[str, Any]
) -> None:
    monkeypatch.setitem(sys.modules, "zentorch", SimpleNamespace())
    monkeypatch.setattr("importlib.metadata.version", lambda name: f"{name}'s")
    loaded = compilers.zentorch(FOLDER, 1, "fp32")
    assert (told["backend"], loaded.backend) == ("zentorch", "zentorch zentorch's, freezing")


def test_torchao_quantises_the_model_that_torchs_own_compiler_gets(
    monkeypatch: pytest.MonkeyPatch, toy: Toy, told: dict[str, Any]
) -> None:
    quantised: list[tuple[Any, str]] = []
    library = SimpleNamespace(
        quantize_=lambda *given: quantised.append(given),
        Int8DynamicActivationInt8WeightConfig=lambda: "activations row by row",
    )
    monkeypatch.setitem(sys.modules, "torchao.quantization", library)
    monkeypatch.setattr("importlib.metadata.version", lambda name: f"{name}'s")
    loaded = compilers.torchao(FOLDER, 1)
    ((model, how),) = quantised
    assert (model.model, how) == (toy, "activations row by row")
    assert (told["backend"], loaded.backend) == ("inductor", "torchao torchao's, inductor, freezing")


def with_torchao() -> tuple[str, float]:
    """The class of a linear layer's weights after quantisation, and how far the results are off."""
    linear, rows = nn.Linear(64, 32), torch.randn(5, 64, generator=torch.Generator().manual_seed(0))
    exact = linear(rows)

    def compiled(*given: Any) -> Any:
        *_, change = given
        change(linear)
        return lambda waveforms: linear(rows).detach().numpy()

    compilers.compiled = compiled
    found = torch.from_numpy(compilers.torchao(FOLDER, 1).encode([]))
    return type(linear.weight).__name__, float((found - exact).abs().max() / exact.abs().max())


@needs_exact_sums
def test_torchaos_linear_layers_are_in_int8() -> None:
    weights, off = beside("torchao", with_torchao)
    assert "Int8" in weights
    assert 0 < off < 0.05
