import json
from pathlib import Path
from typing import Any

import pytest
import torch
from speaker_id.checkpoint import load

from tests.doubles.checkpoints import write_checkpoint
from tests.unit.handler.sealed import LABELS, change_config, change_weights, refusal, sealed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return sealed(write_checkpoint(tmp_path / "checkpoint", labels=LABELS))


@pytest.mark.parametrize("family", ["wav2vec2", "hubert"])
def test_a_checkpoint_is_loaded_in_fp32_for_inference(tmp_path: Path, family: str) -> None:
    loaded = load(sealed(write_checkpoint(tmp_path / "c", family=family, labels=LABELS)))
    assert loaded.labels == LABELS
    assert loaded.sampling_rate == 16000
    assert loaded.default_function == "softmax"
    assert loaded.feature_extractor.do_normalize is False
    assert not loaded.model.training
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {torch.float32}


def test_weights_stored_in_fp16_are_computed_in_fp32(folder: Path) -> None:
    def halve(tensors: dict[str, torch.Tensor]) -> None:
        for name, tensor in tensors.items():
            tensors[name] = tensor.half()

    change_weights(folder, halve)
    assert {parameter.dtype for parameter in load(folder).model.parameters()} == {torch.float32}


def test_loading_is_silent(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    load(folder)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("problem_type", "function"),
    [
        (None, "softmax"),
        ("single_label_classification", "softmax"),
        ("multi_label_classification", "sigmoid"),
        ("regression", "none"),
    ],
)
def test_the_default_function_follows_the_problem_type(
    folder: Path, problem_type: str | None, function: str
) -> None:
    change_config(folder, problem_type=problem_type)
    assert load(folder).default_function == function


def test_labels_come_in_the_order_of_the_logits(folder: Path) -> None:
    change_config(folder, id2label={"2": "chloe", "0": "anna", "1": "bernd"})
    assert load(folder).labels == LABELS


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"id2label": {"0": "a", "1": "b", "3": "c"}},
            "id2label has 3 entries; the classifier's 3 outputs need 0 to 2",
        ),
        ({"id2label": {"0": "a", "1": "b", "2": "a"}}, "id2label gives the label 'a' twice"),
        ({"id2label": {"0": "a", "1": "b", "2": "c", "3": "d"}}, "classifier.bias"),
        ({"num_hidden_layers": 3}, "the weights file lacks"),
        ({"num_hidden_layers": 1}, "has no place for"),
        (
            {"model_type": "whisper"},
            "config.json has model_type 'whisper'; served are: data2vec-audio, hubert,",
        ),
        ({"model_type": ["x"]}, "config.json has model_type ['x']"),
        ({"architectures": ["Wav2Vec2ForCTC"]}, "not an audio classification checkpoint"),
        ({"hidden_size": "wide"}, "transformers cannot load the checkpoint"),
    ],
)
def test_a_config_that_does_not_fit_the_weights_is_refused(
    folder: Path, changes: dict[str, Any], said: str
) -> None:
    change_config(folder, **changes)
    assert said in refusal(folder)


def test_a_missing_layer_weight_vector_is_refused(folder: Path) -> None:
    change_weights(folder, lambda tensors: tensors.pop("layer_weights"))
    assert refusal(folder) == "the weights file lacks layer_weights"


def test_layer_weights_of_the_wrong_length_are_refused(folder: Path) -> None:
    change_weights(folder, lambda tensors: tensors.update(layer_weights=torch.ones(2)))
    assert (
        "the weights file holds tensors of another shape: layer_weights torch.Size([2]) torch.Size([3])"
        in refusal(folder)
    )


def test_a_model_without_a_layer_sum_needs_no_layer_weights(tmp_path: Path) -> None:
    assert load(sealed(write_checkpoint(tmp_path / "c", use_weighted_layer_sum=False))).labels == LABELS


@pytest.mark.parametrize("content", [b"not json", b"[]", b"\xff\xfe"])
def test_a_config_that_is_no_json_object_is_refused(folder: Path, content: bytes) -> None:
    (folder / "config.json").write_bytes(content)
    sealed(folder)
    assert refusal(folder).startswith("config.json ")


def test_weights_that_are_no_safetensors_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\x80\x04not safetensors")
    sealed(folder)
    assert "transformers cannot load the checkpoint" in refusal(folder)


def test_a_sampling_rate_must_be_there(folder: Path) -> None:
    content = json.loads((folder / "preprocessor_config.json").read_text()) | {"sampling_rate": "fast"}
    (folder / "preprocessor_config.json").write_text(json.dumps(content))
    sealed(folder)
    assert "preprocessor_config.json has sampling_rate 'fast'" in refusal(folder)


def test_code_in_the_checkpoint_is_not_run(folder: Path) -> None:
    (folder / "evil.py").write_text("raise SystemExit('ran')")
    change_config(
        folder, auto_map={"AutoModelForAudioClassification": "evil.Model", "AutoConfig": "evil.Config"}
    )
    load(folder)


# --- heads


def test_heads_may_share_a_label_but_one_head_may_not_have_it_twice(tmp_path: Path) -> None:
    folder = sealed(write_checkpoint(tmp_path / "intent", labels=("on", "off", "none", "lamp", "none")))
    assert load(folder, heads={"action": 3, "object": 2}).labels[2] == "none"
    assert "gives the label 'none' twice" in refusal(folder)
    assert "gives the label 'none' twice" in refusal(folder, lambda it: load(it, heads={"a": 2, "b": 3}))


def test_heads_that_do_not_add_up_are_refused(folder: Path) -> None:
    said = refusal(folder, lambda it: load(it, heads={"action": 2, "object": 2}))
    assert said == "heads (action 2, object 2) have 4 labels; the classifier has 3 outputs"


# --- the weighted layer sum's last state

PRE_NORM = {"do_stable_layer_norm": True, "feat_extract_norm": "layer"}


def states_differ(folder: Path) -> bool:
    """Whether the last state that the weighted sum takes is another than the encoder's normalised output."""
    model = load(folder).model
    output = model.wav2vec2(torch.randn(1, 4000), output_hidden_states=True)
    return not torch.equal(output.hidden_states[-1], output.last_hidden_state)


def test_the_last_state_of_a_pre_norm_model_is_the_normalised_one_as_it_was_trained(tmp_path: Path) -> None:
    assert not states_differ(sealed(write_checkpoint(tmp_path / "large", **PRE_NORM)))


def test_a_config_that_says_otherwise_is_obeyed(tmp_path: Path) -> None:
    folder = sealed(write_checkpoint(tmp_path / "large", **PRE_NORM))
    change_config(folder, tie_last_hidden_states=False)
    assert states_differ(folder)


# --- display names


def test_display_names_replace_the_labels_they_list(folder: Path) -> None:
    (folder / "labels.csv").write_text("\ufefflabel,name\nchloe,Chloë Dupont\nanna,Anna\n", encoding="utf-8")
    sealed(folder)
    assert load(folder).labels == ("Anna", "bernd", "Chloë Dupont")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("label,title\nanna,A\n", "labels.csv line 2 lacks a value in the columns label, name"),
        ("label,name\nanna,\n", "labels.csv line 2 lacks a value"),
        ("label,name\nanna,A\nzoe,Z\n", "labels.csv line 3 names 'zoe', which is no label of the model"),
        ("label,name\nanna,A\nanna,B\n", "labels.csv line 3 names 'anna' a second time"),
        ("label,name\nanna,A\nbernd,A\n", "labels.csv gives the label 'A' twice"),
        ("label,name\nanna,bernd\n", "labels.csv gives the label 'bernd' twice"),
    ],
)
def test_display_names_that_would_mislead_are_refused(folder: Path, text: str, said: str) -> None:
    (folder / "labels.csv").write_text(text)
    sealed(folder)
    assert said in refusal(folder)


def test_display_names_must_be_utf8(folder: Path) -> None:
    (folder / "labels.csv").write_bytes(b"label,name\nanna,\xe4\n")
    sealed(folder)
    assert "labels.csv is not a UTF-8 CSV file" in refusal(folder)
