"""The stages together: one outcome each, in order, and no clip concerns another."""

import base64
import io
import json
import threading
import time
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from speaker_id import audio, labels
from speaker_id.clip import Clip, Decoded, Waveform
from speaker_id.protocol import Payload

from tests.decoding import shared
from tests.unit.handler.pipelines import InThisProcess, LoudnessEncoder, payload, pipeline, raw, top, wav


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
    assert encoder.micro_batches == []


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


def test_a_batch_is_encoded_in_micro_batches_of_the_budget() -> None:
    encoder = LoudnessEncoder()
    payloads = [Payload({"body": wav(0.1, samples)}) for samples in (8000, 8000, 16000, 4000)]
    pipeline(encoder, max_batch_audio_seconds=1.0).identify(payloads)
    assert encoder.micro_batches == [[8000, 8000], [16000], [4000]]


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
    # a micro-batch of 4 s, the clip that did not fit, and the 2 + 1 decoded before they are asked for
    assert most_alive(budget=4.0) <= 4 + 1 + 3
    assert most_alive(budget=40.0) == 40  # as it would be without


def test_a_request_of_no_clips_is_answered_without_the_encoder() -> None:
    encoder = LoudnessEncoder()
    (outcome,) = pipeline(encoder).identify([payload({"instances": []})])
    assert outcome.body == {"predictions": []}
    assert encoder.micro_batches == []


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


def test_answers_are_computed_by_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what takes microseconds, several wait for each other most of the time, which uses the processor too."""
    answer, threads = labels.answer, []

    def watched(*given: Any) -> Any:
        threads.append(torch.get_num_threads())
        return answer(*given)

    monkeypatch.setattr(labels, "answer", watched)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        pipeline().identify([Payload({"body": wav(0.5)})])
        assert (threads, torch.get_num_threads()) == ([1], 2)
    finally:
        torch.set_num_threads(before)


def test_a_request_past_its_deadline_is_not_worked_on_and_its_mates_are() -> None:
    encoder = LoudnessEncoder()
    late = Payload({"body": wav(0.5)}, received=time.time() - 10, within=5.0)
    early = Payload({"body": wav(0.25)}, received=time.time() - 10, within=500.0)
    first, second = pipeline(encoder).identify([late, early])
    assert first.body["code"] == "deadline_exceeded"
    assert first.body["error"].endswith(": its deadline passed 5.0 s before")
    assert first.audio_seconds == first.decode_seconds == first.inference_seconds == 0
    assert top(second.body) == ("up", 0.25)
    assert encoder.micro_batches == [[8000]]


def test_a_timeout_in_the_body_is_a_deadline_too() -> None:
    tensor = {"name": "audio", "shape": [4000], "datatype": "FP32", "data": [0.5] * 4000}
    body = {"inputs": [tensor], "parameters": {"sampling_rate": 16000, "timeout": 5_000_000}}
    content = json.dumps(body).encode()
    late, early = pipeline().identify(
        [Payload({"body": content}, received=time.time() - ago) for ago in (10, 0)]
    )
    assert late.body["code"] == "deadline_exceeded"
    assert early.error is None


def test_classes_are_answered_as_triton_does() -> None:
    tensor = {"name": "audio", "shape": [4000], "datatype": "FP32", "data": [0.5] * 4000}
    wanted = [{"name": "score", "parameters": {"classification": 2}}]
    body = {"inputs": [tensor], "parameters": {"sampling_rate": 16000, "top_k": 1}, "outputs": wanted}
    (outcome,) = pipeline().identify([payload(body)])
    (output,) = outcome.body["outputs"]
    assert (output["datatype"], output["shape"]) == ("BYTES", [1, 2])
    assert output["data"] == ["0.5:0:up", "-0.5:1:down"]


def test_a_deadline_that_passes_while_a_batch_is_worked_on_ends_what_is_left_of_the_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encoder = LoudnessEncoder()
    moments = iter([0.0, 0.0, 5.04])  # at the batch's start, before the first clip, before the second
    monkeypatch.setattr(time, "time", lambda: next(moments))
    body = {"instances": [raw(0.1, 0.5), raw(0.1, 0.5)]}
    (outcome,) = pipeline(encoder, InThisProcess(1)).identify([payload(body, received=0.0, within=5.0)])
    assert (outcome.body["code"], outcome.body["instance"]) == ("deadline_exceeded", 1)
    assert outcome.body["error"].endswith(": its deadline had just passed")


def test_a_request_whose_caller_hung_up_is_not_worked_on_and_its_mates_are() -> None:
    encoder = LoudnessEncoder()
    payloads = [Payload({"body": wav(value)}, key=key) for value, key in ((0.5, "gone"), (0.25, "there"))]
    gone, there = pipeline(encoder, cancelled={"gone"}).identify(payloads)
    assert (gone.body["code"], gone.audio_seconds, gone.decode_seconds) == ("cancelled", 0, 0)
    assert top(there.body) == ("up", 0.25)
    assert encoder.micro_batches == [[8000]]


@pytest.mark.parametrize("while_decoding", ["first", "second"])
def test_who_hangs_up_while_a_batch_is_worked_on_is_not_worked_for_any_further(while_decoding: str) -> None:
    """Decoded ahead or not: what is not encoded yet is not encoded, and what is not decoded not decoded."""
    encoder, cancelled, decoded = LoudnessEncoder(), set[str](), list[int]()

    def watched(*args: Any, **kwargs: Any) -> Decoded:
        decoded.append(len(decoded))
        if len(decoded) == {"first": 1, "second": 2}[while_decoding]:
            cancelled.add("gone")
        return audio.decode(*args, **kwargs)

    body = {"instances": [raw(0.1, 0.5), raw(0.1, 0.5)]}
    payloads = [payload(body, key="gone"), Payload({"body": wav(0.25)}, key="there")]
    ours = pipeline(encoder, InThisProcess(1, watched), cancelled)
    gone, there = ours.identify(payloads)
    assert gone.body["code"] == "cancelled"
    assert there.error is None
    assert len(decoded) == {"first": 2, "second": 3}[while_decoding]
    assert encoder.micro_batches == [[8000]]


def plain() -> bytes:
    """A clip that needs no decoder."""
    file = io.BytesIO()
    soundfile.write(file, np.full(8000, 0.5, np.float32), 16000, format="WAV", subtype="PCM_16")
    return file.getvalue()


def test_a_clip_that_needs_no_decoder_wakes_no_thread() -> None:
    ours = pipeline()
    (outcome,) = ours.identify([Payload({"body": plain()})])
    assert top(outcome.body) == ("up", 0.5)
    assert outcome.decode_seconds > 0
    assert "pool" not in vars(ours.decoding)
    ours.identify([Payload({"body": wav(0.5)})])
    assert "pool" in vars(ours.decoding)


def test_a_clip_that_needs_no_decoder_takes_nothing_of_its_requests_budget() -> None:
    ours = shared()
    seen: list[float] = []

    class Watched:
        count = ours.count
        is_plain = ours.is_plain

        def decode(self, clip: Clip, **limits: Any) -> Decoded:
            seen.append(limits["cpu_seconds"])
            return ours.decode(clip, **limits)

    def lent(*bodies: bytes) -> list[float]:
        seen.clear()
        clips = [{"b64": base64.b64encode(body).decode()} for body in bodies]
        watched = pipeline(decoding=Watched(), max_decode_seconds=4.0)
        (outcome,) = watched.identify([payload({"instances": clips})])
        assert outcome.error is None
        return sorted(seen)

    assert lent(plain(), wav(0.5)) == [0.0, 4.0]
    assert lent(wav(0.5), wav(0.5), plain(), plain())[:3] == [0.0, 0.0, 2.0]
