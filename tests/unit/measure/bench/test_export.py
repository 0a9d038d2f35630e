"""What the exporters and quantisers of other software are told; and with the software, what they make of a model."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from torch import Tensor, nn
from transformers import Wav2Vec2FeatureExtractor

from measure import workload
from measure.bench import export, peers
from tests.unit.measure.bench.installed import beside

CLIPS = {"anna": [np.full(5, 1.0, np.float32)], "ben": [np.full(n, 2.0, np.float32) for n in (3, 4)]}
CONVOLUTION, LINEAR = [8, 1, 10], [4, 8]  # the shapes of the toy's weights


class Toy(nn.Module):
    """(1, samples) → logits (1, 4): named as transformers' models are, where the first layers are."""

    def __init__(self) -> None:
        super().__init__()
        self.feature_extractor = nn.Conv1d(1, 8, 10, 5)
        self.classifier = nn.Linear(8, 4)

    def forward(self, samples: Tensor) -> Any:
        frames: Tensor = self.feature_extractor(samples[:, None]).transpose(1, 2)
        return SimpleNamespace(logits=self.classifier(frames).mean(1))


class Told:
    """A library that notes what its functions are called with."""

    def __init__(self, **attributes: Any) -> None:
        self.calls: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {}
        vars(self).update(attributes)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            self.calls[name] = given, named
            return name

        return call


@pytest.fixture
def openvino(monkeypatch: pytest.MonkeyPatch) -> tuple[Told, Told]:
    """OpenVINO and NNCF; the calibration clips are `CLIPS`, doubled where they are to be normalised."""
    core = Told()
    ov, nncf = Told(Core=lambda: core), Told(ModelType=SimpleNamespace(TRANSFORMER="transformer"))
    nncf.Dataset = list
    nncf.IgnoredScope = lambda patterns: ("ignored", patterns)
    monkeypatch.setitem(sys.modules, "openvino", ov)
    monkeypatch.setitem(sys.modules, "nncf", nncf)
    monkeypatch.setattr(peers, "extractor", lambda folder: lambda clip: 2 * clip)
    monkeypatch.setattr(workload, "voices", lambda rate: CLIPS)
    return ov, nncf


def test_onnx_runtime_quantises_products_alone_with_weights_by_channel(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = Told(QuantType=SimpleNamespace(QInt8="signed"))
    monkeypatch.setitem(sys.modules, "onnxruntime.quantization", told)
    export.to_onnx_int8(tmp_path / "source.onnx", tmp_path / "made.onnx")
    given, named = told.calls["quantize_dynamic"]
    assert given == (tmp_path / "source.onnx", tmp_path / "made.onnx")
    assert named == {"op_types_to_quantize": ["MatMul", "Gemm"], "per_channel": True, "weight_type": "signed"}


@pytest.mark.parametrize("kept", [(), (".*first.*",)])
def test_nncf_calibrates_with_every_clip_of_the_demo_as_the_model_wants_it(
    openvino: tuple[Told, Told], tmp_path: Path, kept: tuple[str, ...]
) -> None:
    ov, nncf = openvino
    export.to_openvino_int8(tmp_path, tmp_path / "source.xml", tmp_path / "made.xml", kept)
    (_, clips), named = nncf.calls["quantize"]
    assert [clip.tolist() for clip in clips] == [[2.0] * 5, [4.0] * 3, [4.0] * 4]
    assert named == {
        "model_type": "transformer",
        "subset_size": 3,
        "ignored_scope": ("ignored", [*kept]) if kept else None,
    }
    assert ov.calls["save_model"] == (("quantize", tmp_path / "made.xml"), {"compress_to_fp16": False})


@pytest.mark.parametrize(
    ("form", "kept"), [("openvino-int8", ()), ("openvino-int8-linear", export.CONVOLUTIONS)]
)
def test_convolutions_stay_where_only_the_linear_layers_are_quantised(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, form: str, kept: tuple[str, ...]
) -> None:
    def quantise(folder: Path, source: Path, file: Path, patterns: tuple[str, ...]) -> None:
        assert (folder, source, patterns) == (tmp_path / "checkpoint", tmp_path / "source.xml", kept)
        file.write_text("it")

    monkeypatch.setattr(export, "to_openvino_int8", quantise)
    export.export(tmp_path / "checkpoint", tmp_path / "source.xml", form, tmp_path / "made.xml")
    assert [path.name for path in tmp_path.iterdir()] == ["made.xml"]


def test_the_file_appears_after_the_weights_beside_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def quantise(source: Path, file: Path) -> None:
        for name in ("z.data", file.name, "a.data"):
            (file.parent / name).write_text(name)

    moved: list[str] = []
    replace = Path.replace

    def noted(path: Path, to: Path) -> Path:
        moved.append(to.name)
        return replace(path, to)

    monkeypatch.setattr(export, "to_onnx_int8", quantise)
    monkeypatch.setattr(Path, "replace", noted)
    export.export(tmp_path, tmp_path / "source.onnx", "onnx-int8", tmp_path / "made.onnx")
    assert moved == ["a.data", "z.data", "made.onnx"]


def in_onnx(folder: Path) -> tuple[set[str], list[list[int]]]:
    """Export the toy, and from there to int8; gives the operators, and the shapes of the logits of two clips."""
    import onnx
    import onnxruntime

    source, made = folder / "source.onnx", folder / "made.onnx"
    export.to_onnx(export.LogitsOf(Toy()).eval(), source)
    export.to_onnx_int8(source, made)
    session = onnxruntime.InferenceSession(made, providers=["CPUExecutionProvider"])
    clips = [np.zeros((1, samples), np.float32) for samples in (2_000, 3_333)]
    shapes = [list(session.run(None, {"samples": clip})[0].shape) for clip in clips]
    return {node.op_type for node in onnx.load(made).graph.node}, shapes


def test_onnx_in_int8_has_whole_numbers_products_and_its_convolutions(tmp_path: Path) -> None:
    operators, shapes = beside("onnxruntime", in_onnx, tmp_path)
    assert {"MatMulInteger", "Conv"} <= operators
    assert not {"MatMul", "Gemm", "ConvInteger"} & operators
    assert shapes == [[1, 4], [1, 4]]


def in_openvino(folder: Path) -> list[list[list[int]]]:
    """Export the toy, and from there to int8, wholly and without convolutions; gives the shapes of weights in int8."""
    import openvino

    Wav2Vec2FeatureExtractor().save_pretrained(folder)
    workload.voices = lambda rate: {"anna": [np.zeros(samples, np.float32) for samples in (4_000, 5_000)]}  # type: ignore[assignment]
    export.to_openvino(export.LogitsOf(Toy()).eval(), folder / "source.xml")
    found = []
    for kept in ((), export.CONVOLUTIONS):
        export.to_openvino_int8(folder, folder / "source.xml", folder / "made.xml", kept)
        operators = openvino.Core().read_model(folder / "made.xml").get_ops()
        constants = [it for it in operators if it.get_type_name() == "Constant"]
        found.append(
            sorted([*map(int, it.shape)] for it in constants if it.get_element_type() == openvino.Type.i8)
        )
    return found


def test_openvino_in_int8_keeps_the_convolutions_that_it_is_told_to_keep(tmp_path: Path) -> None:
    assert beside("openvino", in_openvino, tmp_path) == [[LINEAR, CONVOLUTION], [LINEAR]]
