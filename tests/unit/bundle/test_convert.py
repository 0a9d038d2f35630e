import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from speaker_id import checkpoint
from speaker_id.manifest import FileRecord, Manifest
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

from bundle import BundleError
from bundle.archive import prepare
from bundle.sources import resolve
from bundle.spec import ModelSpec
from tests.doubles.checkpoints import write_checkpoint

CLIP = torch.randn(1, 16_000, generator=torch.Generator().manual_seed(3)) * 0.1
SHAPES: dict[str, dict[str, Any]] = {
    "group norm": {"feat_extract_norm": "group", "conv_bias": False, "do_stable_layer_norm": False},
    "layer norm": {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True},
}


def spec_of(folder: Path) -> ModelSpec:
    return resolve(str(folder))


def refusal(folder: Path, tmp_path: Path) -> str:
    with pytest.raises(BundleError) as caught:
        prepare(spec_of(folder), tmp_path / "checkpoints")
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "checkpoints").glob("*/*")), "a refused conversion leaves nothing behind"
    return str(caught.value)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A checkpoint in the form of the published ones: a pickle with weight_g and weight_v."""
    return write_checkpoint(tmp_path / "tiny", pickled=True)


def change(folder: Path, edit: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    tensors = torch.load(folder / "pytorch_model.bin", weights_only=True)
    edit(tensors)
    torch.save(tensors, folder / "pytorch_model.bin")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("family", ["wav2vec2", "hubert"])
@pytest.mark.parametrize("pickled", [True, False])
def test_the_logits_are_the_same_bits_before_and_after(
    tmp_path: Path, family: str, shape: str, pickled: bool
) -> None:
    source = write_checkpoint(tmp_path / "tiny", family=family, pickled=pickled, **SHAPES[shape])
    before = AutoModelForAudioClassification.from_pretrained(source, dtype=torch.float32).eval()
    before.config.tie_last_hidden_states = True  # as the weighted sum was trained; see checkpoint.load
    after = checkpoint.load(prepare(spec_of(source), tmp_path / "checkpoints")).model
    with torch.inference_mode():
        assert torch.equal(before(CLIP).logits, after(CLIP).logits)


def test_the_old_weight_norm_names_become_todays(old: Path, tmp_path: Path) -> None:
    names = torch.load(old / "pytorch_model.bin", weights_only=True).keys()
    assert {name.rsplit(".", 1)[-1] for name in names} > {"weight_g", "weight_v"}
    converted = load_file(prepare(spec_of(old), tmp_path) / "model.safetensors")
    assert [name for name in converted if name.endswith(("weight_g", "weight_v"))] == []
    assert sum("parametrizations.weight.original" in name for name in converted) == 2


def test_the_manifest_says_where_it_came_from(old: Path, tmp_path: Path) -> None:
    folder = prepare(spec_of(old), tmp_path)
    manifest = Manifest.read(folder)
    assert (manifest.name, manifest.source, manifest.revision) == ("tiny", "tiny", None)
    assert manifest.source_files["pytorch_model.bin"] == FileRecord.of(old / "pytorch_model.bin")
    assert manifest.files["model.safetensors"] == FileRecord.of(folder / "model.safetensors")
    assert manifest.libraries["transformers"].startswith("5.")
    assert str(tmp_path) not in manifest.model_dump_json()


def test_a_safetensors_file_of_today_keeps_its_hash(tmp_path: Path) -> None:
    source = write_checkpoint(tmp_path / "tiny")
    folder = prepare(spec_of(source), tmp_path / "checkpoints")
    assert (folder / "model.safetensors").read_bytes() == (source / "model.safetensors").read_bytes()


def test_the_stored_type_is_kept(old: Path, tmp_path: Path) -> None:
    change(old, lambda tensors: tensors.update({name: tensor.half() for name, tensor in tensors.items()}))
    converted = load_file(prepare(spec_of(old), tmp_path) / "model.safetensors")
    assert {tensor.dtype for tensor in converted.values()} == {torch.float16}


def test_tensors_that_share_storage_are_written_apart(old: Path, tmp_path: Path) -> None:
    def tie(tensors: dict[str, torch.Tensor]) -> None:
        one = torch.zeros(32)
        for name in ("wav2vec2.encoder.layer_norm.bias", "wav2vec2.encoder.layers.0.layer_norm.bias"):
            tensors[name] = one

    change(old, tie)
    assert prepare(spec_of(old), tmp_path).is_dir()


def test_a_malicious_pickle_is_refused_and_not_run(old: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "ran"),)

    torch.save({"layer_weights": Evil()}, old / "pytorch_model.bin")
    assert "pytorch_model.bin is refused: its pickle holds more than tensors" in refusal(old, tmp_path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "cannot be read"),
        (b"PK\x03\x04 cut short", "cannot be read"),
        (b"no pickle at all", "is refused: its pickle"),
    ],
)
def test_a_damaged_file_is_refused(old: Path, tmp_path: Path, content: bytes, said: str) -> None:
    (old / "pytorch_model.bin").write_bytes(content)
    assert said in refusal(old, tmp_path)


def test_a_damaged_safetensors_file_is_refused(tmp_path: Path) -> None:
    source = write_checkpoint(tmp_path / "tiny")
    (source / "model.safetensors").write_bytes(b"\xff" * 64)
    assert "model.safetensors cannot be read" in refusal(source, tmp_path)


@pytest.mark.parametrize(
    "content", [[torch.zeros(1)], {"model": {"layer_weights": torch.zeros(3)}}, {0: torch.zeros(1)}]
)
def test_a_pickle_of_another_form_is_refused(old: Path, tmp_path: Path, content: Any) -> None:
    torch.save(content, old / "pytorch_model.bin")
    assert "not a plain mapping from names to tensors" in refusal(old, tmp_path)


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "pytorch_model.bin"])
def test_a_git_lfs_pointer_in_place_of_a_file_is_called_so(old: Path, tmp_path: Path, name: str) -> None:
    (old / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0a1b\nsize 378000000\n")
    said = refusal(old, tmp_path)
    assert f"{name} is a Git LFS pointer, not the file: run `git lfs pull` there" in said


@pytest.mark.parametrize(("content", "said"), [("[]", "holds a list, not an object"), ("{", "is not JSON")])
def test_a_preprocessor_config_that_is_no_object_is_refused(
    old: Path, tmp_path: Path, content: str, said: str
) -> None:
    (old / "preprocessor_config.json").write_text(content)
    assert f"preprocessor_config.json {said}" in refusal(old, tmp_path)


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        (lambda tensor: tensor.to(torch.float8_e4m3fn), "float8_e4m3fn"),
        (lambda tensor: tensor.to(torch.int8), "int8"),
        (lambda tensor: tensor.to(torch.complex64), "complex64"),
        (lambda tensor: tensor.to_sparse(), "a sparse_coo tensor of float32"),
    ],
)
def test_tensors_of_other_kinds_are_named_with_what_they_are(
    old: Path, tmp_path: Path, stored: Callable[[torch.Tensor], torch.Tensor], said: str
) -> None:
    change(old, lambda tensors: tensors.update({"classifier.weight": stored(tensors["classifier.weight"])}))
    assert refusal(old, tmp_path) == (
        f"pytorch_model.bin: classifier.weight is stored as {said}; only dense tensors are converted, of float32, "
        "float16, bfloat16, float64"
    )


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda t: t.pop("layer_weights"), "lacks 1 of 56 tensors, layer_weights among them"),
        (lambda t: t.update(extra=torch.zeros(1)), "holds extra, which the model does not have"),
        (
            lambda t: t.update(layer_weights=torch.zeros(13)),
            "layer_weights has shape (13,); config.json requires (3,)",
        ),
        (lambda t: t.update({"classifier.bias": torch.zeros(4)}), "classifier.bias has shape (4,)"),
        (lambda t: t["projector.bias"].fill_(float("nan")), "projector.bias holds NaN"),
        (lambda t: t["projector.bias"].fill_(float("inf")), "projector.bias holds NaN or infinite values"),
    ],
)
def test_every_tensor_must_be_there_and_fit(
    old: Path, tmp_path: Path, edit: Callable[[dict[str, torch.Tensor]], Any], said: str
) -> None:
    change(old, edit)
    assert said in refusal(old, tmp_path)


def test_the_masking_vector_is_left_out_where_the_model_has_none(
    old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = json.loads((old / "config.json").read_text()) | {"mask_time_prob": 0.0, "mask_feature_prob": 0.0}
    (old / "config.json").write_text(json.dumps(config))
    before = AutoModelForAudioClassification.from_pretrained(old, dtype=torch.float32).eval()
    after = checkpoint.load(prepare(spec_of(old), tmp_path)).model
    assert "wav2vec2.masked_spec_embed is left out: only training uses it" in capsys.readouterr().out
    with torch.inference_mode():
        assert torch.equal(before(CLIP).logits, after(CLIP).logits)


def test_labels_that_would_be_ambiguous_are_refused_before_an_archive_is_built(
    old: Path, tmp_path: Path
) -> None:
    config = json.loads((old / "config.json").read_text()) | {"id2label": {"0": "a", "1": "a", "2": "b"}}
    (old / "config.json").write_text(json.dumps(config))
    assert "id2label gives the label 'a' twice" in refusal(old, tmp_path)


def test_a_config_that_describes_no_model_is_refused(old: Path, tmp_path: Path) -> None:
    config = json.loads((old / "config.json").read_text()) | {"hidden_size": "wide"}
    (old / "config.json").write_text(json.dumps(config))
    assert "config.json describes no model" in refusal(old, tmp_path)


def test_the_preprocessor_goes_along_untouched(old: Path, tmp_path: Path) -> None:
    folder = prepare(spec_of(old), tmp_path)
    assert (folder / "preprocessor_config.json").read_bytes() == (
        old / "preprocessor_config.json"
    ).read_bytes()
    assert AutoFeatureExtractor.from_pretrained(folder).do_normalize is False


# --- once, and again only when something changed


def converted_once_more(spec: ModelSpec, root: Path, capsys: pytest.CaptureFixture[str]) -> bool:
    capsys.readouterr()
    prepare(spec, root)
    return "converting" in capsys.readouterr().out


def test_an_unchanged_source_is_converted_once(
    old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = prepare(spec_of(old), tmp_path / "c")
    assert not converted_once_more(spec_of(old), tmp_path / "c", capsys)
    assert prepare(spec_of(old), tmp_path / "c") == first


def test_a_changed_source_is_converted_into_a_folder_of_its_own(old: Path, tmp_path: Path) -> None:
    first = prepare(spec_of(old), tmp_path / "c")
    change(old, lambda tensors: tensors["layer_weights"].add_(1))
    assert prepare(spec_of(old), tmp_path / "c") != first


def test_a_damaged_conversion_is_made_anew(
    old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = prepare(spec_of(old), tmp_path / "c")
    (folder / "model.safetensors").write_bytes(b"spoilt")
    assert converted_once_more(spec_of(old), tmp_path / "c", capsys)
    assert checkpoint.verify(folder)


def test_changed_display_names_are_taken_in(old: Path, tmp_path: Path) -> None:
    (old / "model.yaml").write_text("source: .\nlabels: names.csv\n")
    for name in ("Anna", "Annie"):
        (old / "names.csv").write_text(f"label,name\nanna,{name}\n")
        assert checkpoint.load(prepare(spec_of(old), tmp_path / "c")).labels[0] == name
