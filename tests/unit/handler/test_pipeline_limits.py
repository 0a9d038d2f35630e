"""What is too much for memory, for an answer or for the model costs one request."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from speaker_id import answering, audio, labels, protocol
from speaker_id.clip import Clip, Decoded, EncodedAudio, Waveform
from speaker_id.decoders.patience import Patience
from speaker_id.open_set import Joined
from speaker_id.protocol import Payload, least_bytes, parse

from tests.unit.handler.pipelines import InThisProcess, LoudnessEncoder, payload, pipeline, raw, top, wav


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
    assert encoder.micro_batches == [[8000, 16_000, 8000], [8000], [16_000], [8000]]
    assert (top(first.body), top(last.body)) == (("up", 0.5), ("down", 0.25))
    assert large.body == {
        "error": "the server ran out of memory for this clip of 1.0 s: try again, or send a shorter one",
        "code": "out_of_memory",
    }


def test_a_clip_whose_waveform_has_no_memory_costs_its_mates_nothing() -> None:
    def decode(clip: EncodedAudio, **limits: Any) -> Decoded:
        if clip.data == large:
            raise MemoryError
        return audio.decode(clip, **limits)

    small, large = wav(0.5), wav(0.5, 16_000)
    bodies = [Payload({"body": body}) for body in (small, large, small)]
    first, failed, last = pipeline(decoding=InThisProcess(1, decode)).identify(bodies)
    assert (top(first.body), top(last.body)) == (("up", 0.5), ("up", 0.5))
    assert failed.body == {
        "error": "the server ran out of memory while decoding this clip: try again, or send a shorter one",
        "code": "out_of_memory",
    }


class AllAtOnce(InThisProcess):
    """Decodes nothing before as many clips as it has decoders are there; remembers the CPU seconds of each."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.there, self.lent = threading.Barrier(count), list[float]()

    def decode(self, clip: Clip, *, min_samples: int, cpu_seconds: float, deadline: float | None) -> Decoded:
        self.lent.append(cpu_seconds)
        self.there.wait(600)
        return super().decode(clip, min_samples=min_samples, cpu_seconds=cpu_seconds, deadline=deadline)


def test_clips_decoded_at_once_have_the_requests_cpu_seconds_together() -> None:
    decoding = AllAtOnce(3)
    (outcome,) = pipeline(decoding=decoding, max_decode_seconds=6.0).identify([payload(bulk(3))])
    assert (outcome.error, decoding.lent) == (None, [2.0, 2.0, 2.0])


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
    assert "the maximum is 1024: request a smaller top_k" in many.error.message
    assert encoder.micro_batches == [[3200]]


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
        "error": "the answer would have at least 2054 bytes, but the maximum is 1024: request a smaller top_k, "
        "fewer clips or fewer outputs",
        "code": "request_too_large",
    }
    assert top(small.body) == ("up", 0.5)
    assert large.certainties == ()


@pytest.mark.parametrize("form", ["ranking", "v1", "v2", "v2 in binary", "v2 classes"])
def test_the_lower_bound_is_never_more_than_the_answer(form: str) -> None:
    classes = {"name": "score", "parameters": {"classification": 2}}
    bodies = {
        "ranking": Payload({"body": wav(0.5)}),
        "v1": payload(bulk(3)),
        "v2": payload(v2([0.5] * 800, 3)),
        "v2 in binary": payload(v2([0.5] * 800, 30) | {"parameters": {"binary_data_output": True}}),
        "v2 classes": payload(v2([0.5] * 800, 3) | {"outputs": [classes]}),
    }
    pipe = pipeline()
    (outcome,) = pipe.identify([bodies[form]])
    asked = parse(bodies[form], pipe.settings)
    least = least_bytes(asked, {"": 2}, 5, len("up"))
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
    answer = labels.answer

    def broken(logits: torch.Tensor, *more: Any) -> Any:
        found = answer(logits, *more)
        return found if logits[0] < 0.4 else [{"label": "up", "score": float("nan")}]

    monkeypatch.setattr(labels, "answer", broken)
    first, second = pipeline().identify([Payload({"body": wav(0.5)}), Payload({"body": wav(0.25)})])
    assert first.error is not None
    assert first.error.code == "non_finite_audio"
    assert b"NaN" not in first.answer
    assert top(second.body) == ("up", 0.25)


@pytest.mark.parametrize("stage", ["parse", "render"])
def test_a_body_that_memory_does_not_suffice_for_costs_its_mates_nothing(
    monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    working = getattr(protocol, stage)

    def forgetful(first: Any, *more: Any) -> Any:
        if forgetful.calls == 0:
            forgetful.calls = 1
            raise MemoryError
        return working(first, *more)

    forgetful.calls = 0
    monkeypatch.setattr(protocol, stage, forgetful)
    first, second = pipeline().identify([Payload({"body": wav(0.5)}), Payload({"body": wav(0.25)})])
    assert first.error is not None
    assert first.error.code == "out_of_memory"
    assert top(second.body) == ("up", 0.25)


def test_an_answer_without_memory_for_its_heads_costs_its_mates_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forgetful(_: Joined, rows: torch.Tensor, *more: Any) -> torch.Tensor:
        if len(rows) > 1 or rows.max() > 0.75:
            raise MemoryError
        return rows

    monkeypatch.setattr(Joined, "logits", forgetful)
    bodies = [Payload({"body": wav(value)}) for value in (0.5, 1.0, 0.25)]
    first, failed, last = pipeline().identify(bodies)
    assert (top(first.body), top(last.body)) == (("up", 0.5), ("up", 0.25))
    assert failed.body == {
        "error": "the server ran out of memory for this answer: request a smaller top_k",
        "code": "out_of_memory",
    }


def test_without_memory_for_certainties_there_are_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(answering, "certainties", forgetful)
    (outcome,) = pipeline().identify([Payload({"body": wav(0.5)})])
    assert top(outcome.body) == ("up", 0.5)
    assert outcome.certainties == ()


def test_every_clip_whose_decoder_hangs_is_told_of_and_no_other() -> None:
    def decode(clip: EncodedAudio, **limits: Any) -> Decoded:
        if clip.data == hangs:
            raise Patience(None).late()
        if clip.data == late:
            raise Patience(0.0).late()
        return audio.decode(clip, **limits)

    told: list[None] = []
    hangs, late, well = wav(0.25), wav(-0.25), wav(0.5)
    waits = replace(pipeline(decoding=InThisProcess(1, decode)), on_hang=lambda: told.append(None))
    waits.identify([Payload({"body": each}) for each in (hangs, well, b"?", late, hangs)])
    assert len(told) == 2
