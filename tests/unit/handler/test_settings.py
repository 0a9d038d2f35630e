"""Settings are validated once, when a model's configuration is read."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError
from speaker_id.settings import Settings

from bundle import BundleError, shipped, sources

WHY = r"65,504, but logits of published models reach 123,000 .hubert-base-superb-sid.: use bf16"


@pytest.mark.parametrize("precision", ["fp16", "float16", "half"])
def test_half_precision_is_refused_and_the_reason_given(precision: str) -> None:
    with pytest.raises(ValidationError, match=WHY):
        Settings.model_validate({"precision": precision})


@pytest.mark.parametrize("precision", ["fp16", "float16"])
def test_in_model_yaml_it_is_one_line_that_names_the_key(tmp_path: Path, precision: str) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "model.yaml").write_text(
        f"source: superb/hubert-base-superb-sid\nspeaker_id: {{precision: {precision}}}\n"
    )
    with pytest.raises(BundleError, match=WHY) as caught:
        sources.read_spec(folder)
    assert "model.yaml: speaker_id.precision: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_any_other_precision_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ValidationError, match="'fp32' or 'bf16'"):
        Settings.model_validate({"precision": "int8"})


def test_the_largest_answer_is_the_largest_that_torchserve_passes_on() -> None:
    assert Settings.model_validate({}).max_response_bytes == shipped.shipped("max_response_size")


def test_a_model_that_would_answer_more_than_that_is_refused(tmp_path: Path) -> None:
    most = shipped.shipped("max_response_size")
    (tmp_path / "model.yaml").write_text(f"source: .\nspeaker_id: {{max_response_bytes: {most + 1}}}\n")
    with pytest.raises(
        BundleError, match=f"{most + 1} is more than config.properties' max_response_size {most}"
    ):
        sources.read_spec(tmp_path)


def test_fp32_and_bf16_are_taken() -> None:
    assert Settings.model_validate({}).precision == "fp32"
    assert Settings.model_validate({"precision": "bf16"}).precision == "bf16"


def test_the_models_own_classifiers_are_those_without_what_open_sets_add() -> None:
    heads, kinds = {"a": 3, "b": 4, "enrolled": 5}, {"b": "guard", "enrolled": "gallery"}
    assert Settings(heads=heads, open_sets=kinds).closed_heads == {"a": 3, "b": 3}
    assert Settings(open_sets={"": "gallery"}).closed_heads == {}
