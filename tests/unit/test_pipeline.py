"""The stages together: one outcome each, in order, and no clip concerns another."""

import io
import json
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from speaker_id import audio
from speaker_id import pipeline as pipeline_module
from speaker_id.clip import Clip, Decoded
from speaker_id.packing import Waveform
from speaker_id.pipeline import Pipeline
from speaker_id.protocol import Model, Payload, least_bytes, parse
from speaker_id.settings import Settings

from tests.decoding import shared


class LoudnessEncoder:
    """Two logits a clip: its mean, and minus its mean. Remembers what came together."""

    min_samples = 400

    def __init__(self) -> None:
        self.turns: list[list[int]] = []

    def __call__(self, waveforms: Sequence[Waveform]) -> torch.Tensor:
        self.turns.append([len(waveform) for waveform in waveforms])
        means = torch.tensor([float(waveform.mean()) for waveform in waveforms])
        return torch.stack([means, -means], 1)


class InThisProcess:
    """Decodes where a test can watch it."""

    def __init__(self, count: int, decode: Callable[..., Decoded] = audio.decode) -> None:
        self.count, self._decode = count, decode

    def decode(self, clip: Clip, *, min_samples: int, cpu_seconds: float, deadline: float | None) -> Decoded:
        return self._decode(clip, sampling_rate=16000, max_seconds=120.0, min_samples=min_samples)


def pipeline(encoder: Any = None, decoding: Any = None, **settings: Any) -> Pipeline:
    return Pipeline(
        decoders=decoding or shared(),
        encoder=encoder or LoudnessEncoder(),
        labels=("up", "down"),
        default_function="none",
        sampling_rate=16000,
        settings=Settings(**settings),
        model=Model("sid", "1.0"),
    )


def wav(value: float, samples: int = 8000) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.full(samples, value, np.float32), 16000, format="WAV", subtype="FLOAT")
    return buffer.getvalue()


def payload(document: Any, **more: Any) -> Payload:
    return Payload({"body": json.dumps(document).encode()}, **more)


def raw(value: float, seconds: float) -> dict[str, Any]:
    return {"array": [value] * int(seconds * 4000), "sampling_rate": 4000}


def top(body: Any) -> tuple[str, float]:
    return body[0]["label"], pytest.approx(body[0]["score"], abs=1e-5)


def test_good_and_bad_clips_get_their_own_answers_in_order() -> None:
    payloads = [wav(0.5), b"no audio", wav(-0.25), b"", wav(0.125)]
    outcomes = pipeline().identify([Payload({"body": data}) for data in payloads])
    assert [outcome.error.code if outcome.error else None for outcome in outcomes] == [
        None,
        "unsupported_media",
        None,
        "malformed_request",
        None,
    ]
    assert top(outcomes[0].body) == ("up", 0.5)
    assert top(outcomes[2].body) == ("down", 0.25)
    assert top(outcomes[4].body) == ("up", 0.125)
    assert outcomes[1].body["code"] == "unsupported_media"


def test_times_and_seconds_are_reported() -> None:
    (outcome,) = pipeline().identify([Payload({"body": wav(0.5)})])
    assert outcome.audio_seconds == 0.5
    assert outcome.decode_seconds > 0
    assert outcome.inference_seconds > 0


def test_a_request_of_several_names_the_clip_at_fault_and_costs_its_mates_nothing() -> None:
    bad = {"instances": [raw(0.1, 0.5), raw(float("nan"), 0.5), raw(0.1, 0.5)]}
    first, second = pipeline().identify([payload(bad), Payload({"body": wav(0.5)})])
    assert first.body["code"] == "non_finite_audio"
    assert first.body["instance"] == 1
    assert top(second.body) == ("up", 0.5)


def test_after_a_fault_the_rest_of_the_request_is_not_decoded() -> None:
    encoder = LoudnessEncoder()
    bad = {"instances": [raw(float("nan"), 0.5), raw(0.1, 0.5)]}
    pipeline(encoder).identify([payload(bad)])
    assert encoder.turns == []


def test_clips_are_decoded_side_by_side() -> None:
    together = threading.Barrier(2, timeout=600)

    def meet(*args: Any, **kwargs: Any) -> Decoded:
        together.wait()  # passes only when two clips are being decoded at one time
        return audio.decode(*args, **kwargs)

    outcomes = pipeline(decoding=InThisProcess(2, meet)).identify([Payload({"body": wav(0.5)})] * 2)
    assert [top(outcome.body) for outcome in outcomes] == [("up", 0.5)] * 2


def test_a_request_longer_than_its_limit_is_refused() -> None:
    (outcome,) = pipeline(max_request_seconds=1.0).identify([payload({"instances": [raw(0.1, 0.6)] * 2})])
    assert outcome.body["code"] == "request_too_large"
    assert "1 s together" in outcome.body["error"]


def test_a_batch_is_worked_off_in_turns_of_the_budget() -> None:
    encoder = LoudnessEncoder()
    payloads = [Payload({"body": wav(0.1, samples)}) for samples in (8000, 8000, 16000, 4000)]
    pipeline(encoder, max_batch_audio_seconds=1.0).identify(payloads)
    assert encoder.turns == [[8000, 8000], [16000], [4000]]


def most_alive(budget: float) -> float:
    """The most decoded audio, in seconds, that exists at any time while 40 requests of 1 s are one batch."""
    alive = most = 0
    lock = threading.Lock()

    def end(samples: int) -> None:
        nonlocal alive
        with lock:
            alive -= samples

    def watched(*args: Any, **kwargs: Any) -> Decoded:
        nonlocal alive, most
        decoded = audio.decode(*args, **kwargs)
        weakref.finalize(decoded.waveform, end, len(decoded.waveform))
        with lock:
            alive += len(decoded.waveform)
            most = max(most, alive)
        return decoded

    requests = [Payload({"body": wav(0.1, 16_000)})] * 40
    watching = InThisProcess(2, watched)
    outcomes = pipeline(decoding=watching, max_batch_audio_seconds=budget).identify(requests)
    assert all(outcome.error is None for outcome in outcomes)
    return most / 16_000


def test_the_budget_bounds_the_decoded_audio_whatever_the_batch_holds() -> None:
    # a turn of 4 s, the clip that did not fit into it, and the 2 + 1 that may be decoded before they are asked for
    assert most_alive(budget=4.0) <= 4 + 1 + 3
    assert most_alive(budget=40.0) == 40  # as it would be without


def test_a_request_of_no_clips_is_answered_without_the_encoder() -> None:
    encoder = LoudnessEncoder()
    (outcome,) = pipeline(encoder).identify([payload({"instances": []})])
    assert outcome.body == {"predictions": []}
    assert encoder.turns == []


def test_the_default_is_the_models_and_the_caller_may_choose() -> None:
    default, chosen = pipeline(default_top_k=1).identify(
        [Payload({"body": wav(0.5)}), Payload({"body": wav(0.5)}, {"X-Top-K": "2"})]
    )
    assert len(default.body) == 1
    assert len(chosen.body) == 2


def test_a_bug_still_raises() -> None:
    class Broken(LoudnessEncoder):
        def __call__(self, waveforms: Sequence[Waveform]) -> torch.Tensor:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        pipeline(Broken()).identify([Payload({"body": wav(0.5)})])


def test_a_model_of_two_heads_answers_each_by_itself() -> None:
    (outcome,) = pipeline(heads={"rise": 1, "fall": 1}).identify([Payload({"body": wav(0.5)})])
    assert {head: top(ranking) for head, ranking in outcome.body.items()} == {
        "rise": ("up", 0.5),
        "fall": ("down", -0.5),
    }


def test_v2_names_every_heads_outputs_and_refuses_others() -> None:
    both = pipeline(heads={"rise": 1, "fall": 1})
    tensor = {"name": "audio", "shape": [1, 4000], "datatype": "FP32", "data": [0.5] * 4000}
    body = {"inputs": [tensor | {"parameters": {"sampling_rate": 4000}}]}
    wrong = body | {"outputs": [{"name": "label"}]}
    answered, refused = both.identify([payload(body), payload(wrong)])
    assert [output["name"] for output in answered.body["outputs"]] == [
        "rise.label",
        "rise.score",
        "fall.label",
        "fall.score",
    ]
    assert "rise.label" in refused.body["error"]


def test_a_request_past_its_deadline_is_not_worked_on_and_its_mates_are() -> None:
    encoder = LoudnessEncoder()
    late = Payload({"body": wav(0.5)}, received=time.time() - 10, within=5.0)
    early = Payload({"body": wav(0.25)}, received=time.time() - 10, within=500.0)
    first, second = pipeline(encoder).identify([late, early])
    assert first.body["code"] == "deadline_exceeded"
    assert first.audio_seconds == first.decode_seconds == first.inference_seconds == 0
    assert top(second.body) == ("up", 0.25)
    assert encoder.turns == [[8000]]


def test_a_deadline_that_passes_while_a_batch_is_worked_on_ends_what_is_left_of_the_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encoder = LoudnessEncoder()
    moments = iter([0.0, 0.0, 9.0])  # at the batch's start, before the first clip, before the second
    monkeypatch.setattr(pipeline_module.time, "time", lambda: next(moments))
    body = {"instances": [raw(0.1, 0.5), raw(0.1, 0.5)]}
    (outcome,) = pipeline(encoder, InThisProcess(1)).identify([payload(body, received=0.0, within=5.0)])
    assert (outcome.body["code"], outcome.body["instance"]) == ("deadline_exceeded", 1)


class ForgetfulEncoder(LoudnessEncoder):
    """Has no memory for more than so many samples at once."""

    def __init__(self, most: int, error: Exception) -> None:
        super().__init__()
        self.most, self.error = most, error

    def __call__(self, waveforms: Sequence[Waveform]) -> torch.Tensor:
        logits = super().__call__(waveforms)
        if sum(map(len, waveforms)) > self.most:
            raise self.error
        return logits


def torchs_own_error() -> Exception:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 50, dtype=torch.uint8)
    return caught.value


@pytest.mark.parametrize("error", [MemoryError(), torchs_own_error()], ids=["Python's", "torch's"])
def test_a_clip_that_memory_does_not_suffice_for_costs_its_mates_nothing(error: Exception) -> None:
    encoder = ForgetfulEncoder(10_000, error)
    payloads = [
        Payload({"body": wav(0.5)}),
        Payload({"body": wav(0.5, 16_000)}),
        Payload({"body": wav(-0.25)}),
    ]
    first, large, last = pipeline(encoder).identify(payloads)
    assert encoder.turns == [[8000, 16_000, 8000], [8000], [16_000], [8000]]
    assert (top(first.body), top(last.body)) == (("up", 0.5), ("down", 0.25))
    assert large.body == {
        "error": "the server ran out of memory over this clip of 1.0 s; try again, or send a shorter one",
        "code": "out_of_memory",
    }


def test_another_error_of_the_encoder_is_a_bug_and_raises() -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        pipeline(ForgetfulEncoder(0, RuntimeError("shapes do not match"))).identify(
            [Payload({"body": wav(0.5)})]
        )


def bulk(clips: int, **more: Any) -> dict[str, Any]:
    return {"instances": [raw(0.1, 0.2)] * clips, **more}


def test_an_answer_beyond_the_limit_is_refused_before_anything_is_decoded() -> None:
    encoder = LoudnessEncoder()
    many, one = pipeline(encoder, max_response_bytes=1024).identify([payload(bulk(20)), payload(bulk(1))])
    assert many.error is not None
    assert (many.error.code, one.error) == ("request_too_large", None)
    assert "at most 1024 are sent: ask for a smaller top_k" in many.error.message
    assert encoder.turns == [[3200]]


def test_what_is_asked_for_decides_and_not_what_there_is() -> None:
    few, label = pipeline(max_response_bytes=1024).identify(
        [
            payload(bulk(20, parameters={"top_k": 1})),
            payload(v2([0.1] * 800, 20, outputs=[{"name": "label"}])),
        ]
    )
    assert (few.error, label.error) == (None, None)


def v2(samples: list[float], clips: int, **more: Any) -> dict[str, Any]:
    tensor = {"name": "audio", "shape": [clips, len(samples)], "datatype": "FP32", "data": samples * clips}
    return {"inputs": [tensor | {"parameters": {"sampling_rate": 4000}}], **more}


def test_an_answer_that_turns_out_larger_is_refused_too_and_its_mates_are_answered() -> None:
    uneven = replace(pipeline(max_response_bytes=1024), labels=("up", "d" * 2000))
    large, small = uneven.identify(
        [Payload({"body": wav(0.5)}), Payload({"body": wav(0.5)}, {"X-Top-K": "1"})]
    )
    assert large.body == {
        "error": "the answer would have 2054 bytes or more; at most 1024 are sent: ask for a smaller top_k, fewer "
        "clips or fewer outputs",
        "code": "request_too_large",
    }
    assert top(small.body) == ("up", 0.5)
    assert large.certainties == ()


@pytest.mark.parametrize("form", ["ranking", "v1", "v2"])
def test_the_lower_bound_is_never_more_than_the_answer(form: str) -> None:
    bodies = {
        "ranking": Payload({"body": wav(0.5)}),
        "v1": payload(bulk(3)),
        "v2": payload(v2([0.5] * 800, 3)),
    }
    pipe = pipeline()
    (outcome,) = pipe.identify([bodies[form]])
    asked = parse(bodies[form], pipe.settings)
    least = least_bytes(asked, {"": 2}, len("up"))
    assert 0.1 * len(outcome.answer) < least < len(outcome.answer)


class OverflowingEncoder(LoudnessEncoder):
    """Of samples past 100 the logits are no numbers."""

    def __call__(self, waveforms: Sequence[Waveform]) -> torch.Tensor:
        logits = super().__call__(waveforms)
        return torch.where(logits.abs() > 100, torch.nan, logits)


def test_logits_that_are_not_finite_are_the_clips_own_error() -> None:
    bad = {"instances": [raw(0.25, 0.5), raw(1e6, 0.5), raw(0.25, 0.5)]}
    first, second = pipeline(OverflowingEncoder()).identify([payload(bad), Payload({"body": wav(0.5)})])
    assert first.error is not None
    assert (first.error.code, first.error.instance, first.certainties) == ("non_finite_audio", 1, ())
    assert "scale them to ±1" in first.error.message
    assert top(second.body) == ("up", 0.5)


def test_a_score_that_is_no_number_never_reaches_a_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = pipeline_module.labels.answer

    def broken(logits: torch.Tensor, *more: Any) -> Any:
        found = answer(logits, *more)
        return found if logits[0] < 0.4 else [{"label": "up", "score": float("nan")}]

    monkeypatch.setattr(pipeline_module.labels, "answer", broken)
    first, second = pipeline().identify([Payload({"body": wav(0.5)}), Payload({"body": wav(0.25)})])
    assert first.error is not None
    assert first.error.code == "non_finite_audio"
    assert b"NaN" not in first.answer
    assert top(second.body) == ("up", 0.25)


@pytest.mark.parametrize("stage", ["parse", "render"])
def test_a_body_that_memory_does_not_suffice_for_costs_its_mates_nothing(
    monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    working = getattr(pipeline_module.protocol, stage)

    def forgetful(first: Any, *more: Any) -> Any:
        if forgetful.calls == 0:
            forgetful.calls = 1
            raise MemoryError
        return working(first, *more)

    forgetful.calls = 0
    monkeypatch.setattr(pipeline_module.protocol, stage, forgetful)
    first, second = pipeline().identify([Payload({"body": wav(0.5)}), Payload({"body": wav(0.25)})])
    assert first.error is not None
    assert first.error.code == "out_of_memory"
    assert top(second.body) == ("up", 0.25)
