"""What is timed is what is served; a candidate must be clearly faster than the default, and correct."""

import math
from functools import partial
from itertools import chain, repeat
from typing import Any

import pytest
import torch
from speaker_id.encoder.packed import PackedEncoder, onednn, tuning
from speaker_id.encoder.packed.onednn import OneDnnOperators
from speaker_id.encoder.packed.operators import Linear
from speaker_id.encoder.packed.probe import usable
from speaker_id.encoder.packed.tuning import fastest, measure, products
from speaker_id.heads.affine import Affine
from speaker_id.plan import KINDS, Plan

from tests.parity.families import clip, extractor, small

LAYER_NORM = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
onednn_only = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this torch has no oneDNN")


class Clock:
    """CPU time that passes only where a candidate says so."""

    now = 0.0

    def candidate(self, seconds: float, amount: int = 1) -> tuple[Any, int]:
        return partial(self.run, seconds), amount

    def run(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(tuning.time, "process_time", lambda: made.now)
    return made


def test_the_fastest_for_its_amount_of_work_is_chosen(clock: Clock) -> None:
    candidates = {
        "default": clock.candidate(1.0),
        "twice": clock.candidate(1.8, 2),
        "slow": clock.candidate(3.0),
    }
    assert fastest(candidates, math.inf) == "twice"


def test_the_default_stays_unless_another_is_clearly_faster(clock: Clock) -> None:
    assert fastest({"default": clock.candidate(1.0), "hardly": clock.candidate(0.97)}, math.inf) == "default"
    assert fastest({"default": clock.candidate(1.0), "clearly": clock.candidate(0.9)}, math.inf) == "clearly"


def test_slow_turns_of_a_busy_machine_do_not_decide(clock: Clock) -> None:
    def of(times: list[float]) -> tuple[Any, int]:
        turns = chain(times, repeat(times[-1]))
        return (lambda: clock.run(next(turns))), 1

    # the first turn of each is not timed
    assert (
        fastest({"default": of([1.0, 5.0, 5.0, 1.0]), "other": clock.candidate(1.05)}, math.inf) == "default"
    )
    assert fastest({"default": clock.candidate(1.0), "other": of([1.0, 0.5, 1.1])}, math.inf) == "default"
    assert fastest({"default": clock.candidate(1.0), "other": of([5.0, 5.0, 0.9])}, math.inf) == "other"


def test_a_slow_candidate_has_few_turns_and_the_default_all() -> None:
    ran: list[str] = []
    fastest(
        {"default": (lambda: spin(ran, "default", 4000), 1), "b": (lambda: spin(ran, "b", 1000), 1)}, math.inf
    )
    assert ran.count("default") == ran.count("b") == tuning.TURNS + 1
    ran.clear()
    fastest(
        {"default": (lambda: spin(ran, "default", 1000), 1), "b": (lambda: spin(ran, "b", 90_000), 1)},
        math.inf,
    )
    assert ran.count("b") == tuning.ALL + 1


def spin(ran: list[str], name: str, times: int) -> None:
    ran.append(name)
    sum(range(times * 10))


def test_after_the_deadline_each_has_one_turn() -> None:
    ran: list[str] = []
    fastest({name: (partial(ran.append, name), 1) for name in ("a", "b")}, deadline=0.0)
    assert ran == ["a", "b", "a", "b"]  # once unmeasured


@pytest.mark.parametrize("settings", [{}, LAYER_NORM], ids=["group norm", "layer norm"])
def test_the_products_are_those_that_the_encoder_computes(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, None] = {}
    linear = OneDnnOperators.linear

    def noted(self: OneDnnOperators, affine: Affine) -> Linear:
        asked["x".join(map(str, affine.weight.shape))] = None
        return linear(self, affine)

    monkeypatch.setattr(OneDnnOperators, "linear", noted)
    model = small("wav2vec2", **settings)
    PackedEncoder(model, extractor(False), "cpu", backend="onednn")([clip(9000)])
    own = {each.shape for each in products(model.config)}
    assert own == set(asked) - {"48x96"}  # of the trial


@onednn_only
@pytest.mark.parametrize("settings", [{}, LAYER_NORM], ids=["group norm", "layer norm"])
def test_a_measured_plan_is_of_the_models_shapes_and_leaves_torchs_threads(settings: dict[str, Any]) -> None:
    config, before = small("wav2vec2", **settings).config, torch.get_num_threads()
    plan = measure(config, torch.float32, 2)
    assert torch.get_num_threads() == before
    assert set(plan.products) == {each.shape for each in products(config)}
    assert plan.rows in tuning.ROWS
    assert plan.tile in tuning.TILES
    assert Plan.parse(str(plan)) == Plan(
        plan.rows, plan.tile, "fused", {k: v for k, v in plan.products.items() if v != "fused"}
    )


@onednn_only
def test_every_kind_is_usable_here_and_one_that_is_wrong_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert usable(torch.float32) == KINDS
    monkeypatch.setattr(onednn, "gelu", lambda rows: rows)
    assert usable(torch.float32) == ("fused", "plain")
