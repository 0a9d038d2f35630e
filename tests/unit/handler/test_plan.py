"""A plan is one text wherever it stands: in the log, in a kept file, in a setting."""

import pytest
from pydantic import ValidationError
from speaker_id.plan import Plan
from speaker_id.settings import Settings


@pytest.mark.parametrize(
    ("text", "plan"),
    [
        ("", Plan()),
        ("fused", Plan()),
        ("plain", Plan(kind="plain")),
        ("rows=512 tile=96", Plan(rows=512, tile=96)),
        ("separate 3072x768=plain tile=16", Plan(tile=16, kind="separate", products={"3072x768": "plain"})),
    ],
)
def test_words_may_be_left_out_and_stand_in_any_order(text: str, plan: Plan) -> None:
    assert Plan.parse(text) == plan
    assert Plan.parse(str(plan)) == plan


def test_the_text_leaves_out_products_that_are_like_the_others() -> None:
    plan = Plan(products={"3072x768": "separate", "768x768": "fused"})
    assert str(plan) == "rows=256 tile=48 fused 3072x768=separate"


def test_a_shape_that_is_not_named_is_computed_like_the_others() -> None:
    plan = Plan.parse("plain 3072x768=separate")
    assert (plan.of(3072, 768), plan.of(768, 3072)) == ("separate", "plain")
    assert set(plan.kinds) == {"plain", "separate"}


@pytest.mark.parametrize(
    "text",
    ["fastest", "rows=0", "rows=many", "tile=99999999", "3072=fused", "axb=fused", "1x2x3=fused", "1x2=mkl"],
)
def test_what_is_no_plan_is_refused_by_its_word(text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Plan.parse(f"fused {text}")
    with pytest.raises(ValidationError, match=text):
        Settings(kernels=text)


def test_the_setting_is_auto_unless_it_pins_a_plan() -> None:
    assert Settings.model_validate({}).kernels == "auto"
    assert Settings(kernels="rows=512 fused").kernels == "rows=512 fused"
