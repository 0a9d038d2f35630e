"""Triton's adapter around the demo model, with a double of the module that only Triton's Python backend has."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from speaker_id.activity import batch_of
from speaker_id.suspects import Suspects
from speaker_worker import ATTEMPT_HEADER

from bundle import archive, repository, sources
from tests.doubles import triton
from tests.doubles.triton import InferenceRequest, audio, waveforms

ROOT = Path(__file__).resolve().parents[2]
AUDIO = sorted((ROOT / "models" / "demo" / "samples").glob("*.flac"))[0].read_bytes()
NOISE = np.random.default_rng(0).standard_normal((2, 16_000)).astype(np.float32) * 0.1
RATE = {"sampling_rate": 16_000}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("triton")
    spec = sources.resolve("demo", root=ROOT / "models")
    spec = spec.model_copy(
        update={"speaker_id": spec.speaker_id.model_copy(update={"warmup_seconds": (0.1,)})}
    )
    mar = archive.build(spec, folder / "store", checkpoints=folder / "checkpoints")
    repository.write(mar, folder / "repository")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "triton_python_backend_utils", triton)
        from triton_model import TritonPythonModel

        made = TritonPythonModel()
        made.initialize(
            {
                "model_config": json.dumps({"name": "demo", "instance_group": [{"count": 1}]}),
                "model_repository": str(folder / "repository" / "demo"),
                "model_version": "2",
                "model_instance_kind": "CPU",
                "model_instance_device_id": "0",
            }
        )
        yield made


def test_each_request_of_a_batch_is_answered_or_fails_alone(model: Any) -> None:
    good, bad, long = model.execute(
        [
            InferenceRequest([audio(AUDIO)]),
            InferenceRequest([audio(b"?")]),
            InferenceRequest([waveforms(NOISE)], given={**RATE, "top_k": 2}),
        ]
    )
    assert good.error is None
    assert bad.error.code == "INVALID_ARG"
    assert str(bad.error).startswith("unsupported_media[0]: the body is not in a supported audio format")
    assert long.values()["label"].shape == long.values()["score"].shape == (2, 2)


def test_parameters_that_are_no_text_cost_the_others_of_a_batch_nothing(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    illegible = InferenceRequest([audio(AUDIO)])
    monkeypatch.setattr(
        illegible, "parameters", lambda: b'{"x-top-k": "\x85"}'.decode()
    )  # as the backend's binding
    first, good = model.execute([illegible, InferenceRequest([audio(AUDIO)])])
    assert (first.error.code, str(first.error)[:18]) == ("INVALID_ARG", "malformed_request:")
    assert good.error is None


def test_label_and_score_are_the_ranking_and_scores_every_labels(model: Any) -> None:
    (answer,) = model.execute([InferenceRequest([audio(AUDIO)], given={"top_k": 3})])
    label, score, scores = (answer.values()[name] for name in ("label", "score", "scores"))
    names = model.pipeline.labels
    order = np.argsort(-scores[0])[:3]
    assert label[0].tolist() == [names[index].encode() for index in order]
    assert score[0].tolist() == scores[0][order].tolist()
    assert "answer" not in answer.values(), "the gateway's alone"


def test_an_embedding_is_sent_where_it_is_named_and_not_with_all_outputs(model: Any) -> None:
    asked = [
        InferenceRequest([audio(AUDIO)]),
        InferenceRequest([audio(AUDIO)], outputs=["label", "embedding"]),
        InferenceRequest([audio(AUDIO)], given={"output": "embedding"}),
        InferenceRequest([audio(AUDIO)], outputs=["answer"], given={"x-output": "embedding"}),
    ]
    everything, named, alone, gateways = model.execute(asked)
    assert set(everything.values()) == {"label", "score", "scores"}
    assert list(named.values()) == ["label", "embedding"]
    vector = named.values()["embedding"]
    assert vector.dtype == np.float32
    assert np.linalg.norm(vector[0]) == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(alone.values()["embedding"], vector, atol=1e-6)
    body = json.loads(gateways.values()["answer"].item().partition(b"\n\n")[2])
    np.testing.assert_allclose(body["embedding"], vector[0], atol=1e-6)
    assert (body["model"], body["dim"], len(body["revision"])) == ("voice", vector.shape[1], 64)


def test_an_unknown_head_is_refused_by_name(model: Any) -> None:
    (answer,) = model.execute([InferenceRequest([audio(AUDIO)], given={"heads": "mood"})])
    assert str(answer.error).startswith("invalid_parameter: unknown head 'mood'; known: speaker, language")


def test_only_the_outputs_that_were_asked_for_are_made(model: Any) -> None:
    (answer,) = model.execute([InferenceRequest([audio(AUDIO)], outputs=["score"])])
    assert list(answer.values()) == ["score"]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (InferenceRequest([waveforms(NOISE)]), "invalid_parameter: an FP32 input needs the parameter"),
        (
            InferenceRequest([audio(AUDIO)], given={"beams": 4}),
            "invalid_parameter: unknown parameter 'beams'",
        ),
        (InferenceRequest([]), "malformed_request: the request has no clip"),
        (InferenceRequest([audio(AUDIO, b"")]), r"malformed_request\[1\]: audio contains no bytes"),
        (InferenceRequest([waveforms(NOISE[:, :99])], given=RATE), r"audio_too_short\[0\]: "),
    ],
)
def test_an_error_begins_with_its_code_and_clip(model: Any, request_: InferenceRequest, message: str) -> None:
    (answer,) = model.execute([request_])
    with pytest.raises(triton.TritonError, match=f"^{message}"):
        raise answer.error


def gateways(model: Any, body: bytes, headers: dict[str, str]) -> tuple[str, dict[str, str], Any]:
    """Status line, headers and body, as the gateway restores them."""
    (answer,) = model.execute([InferenceRequest([audio(body)], outputs=["answer"], given=headers)])
    assert answer.error is None
    head, _, rest = answer.values()["answer"].item().partition(b"\n\n")
    status, *lines = head.decode().split("\n")
    return status, dict(line.split(": ", 1) for line in lines), json.loads(rest)


def test_the_gateways_form_has_status_headers_and_body_of_any_form(model: Any) -> None:
    status, headers, body = gateways(model, AUDIO, {"X-Query": "top_k=2", "x-request-id": "abc"})
    assert (status, headers["X-Model-Name"], headers["X-Model-Version"]) == ("200 OK", "demo", "2.0")
    assert len(body) == 2
    status, _, body = gateways(model, b"?", {})
    assert (status, body["code"]) == ("415 Unsupported Media Type", "unsupported_media")
    form = b'--b\r\nContent-Disposition: form-data; name="top_k"\r\n\r\n1\r\n--b--'
    _, _, body = gateways(model, form, {"x-form": "multipart/form-data; boundary=b"})
    assert "the form has no audio part" in body["error"]


def test_the_callers_coding_has_a_name_that_triton_does_not_act_upon(model: Any) -> None:
    status, _, body = gateways(model, b"not gzip", {"x-content-encoding": "gzip"})
    assert status == "400 Bad Request"
    assert "not valid gzip" in body["error"]
    assert gateways(model, AUDIO, {"x-path": "top_k/1"})[2] == gateways(model, AUDIO, {"x-top-k": "1"})[2]


def test_a_probe_is_answered(model: Any) -> None:
    assert gateways(model, b"", {"x-probe": "yes"}) == ("200 OK", {}, {})


def test_a_parameter_of_a_message_does_not_stand_for_a_header_that_the_gateway_sets(model: Any) -> None:
    for forged in ({"X-Probe": "yes", "x-probe": "no"}, {"x-probe": "no", "X-PROBE": "yes"}):
        assert gateways(model, AUDIO, forged)[1]["X-Model-Name"] == "demo"


@pytest.mark.parametrize("outputs", [["answer"], ["label"]])
def test_a_lack_of_memory_is_an_error_that_the_gateway_retries(
    model: Any, monkeypatch: pytest.MonkeyPatch, outputs: list[str]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(model.pipeline.decoders, "decode", full)
    (answer,) = model.execute([InferenceRequest([audio(AUDIO)], outputs=outputs)])
    assert answer.error.code == "INTERNAL"
    assert str(answer.error).startswith("out_of_memory")
    second = {ATTEMPT_HEADER: "2"}
    if outputs == ["answer"]:
        status, _, body = gateways(model, AUDIO, second)
        assert (status, body["code"]) == ("507 Insufficient Storage", "out_of_memory")
    else:
        (answer,) = model.execute([InferenceRequest([audio(AUDIO)], outputs=outputs, given=second)])
        assert answer.error.code == "UNAVAILABLE", "the gateway does not try again"


def sent(request: str, attempt: int, outputs: Sequence[str] = ("label",)) -> InferenceRequest:
    headers = {"x-received": f"1.500 20 {request}", ATTEMPT_HEADER: str(attempt)}
    return InferenceRequest([audio(AUDIO)], outputs=outputs, given=headers)


def test_what_a_worker_had_when_it_ended_is_processed_alone_and_refused_when_it_was_two(
    model: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for worker, had in (("1", ("one", "two")), ("2", ("two",))):
        (tmp_path / worker).write_text("\n".join(f"1.500 20 {request}" for request in had))
    monkeypatch.setattr(model, "suspects", Suspects(tmp_path))
    groups, identify = [], model.identify

    def watched(payloads: Sequence[Any]) -> Any:
        (ours,) = (file for file in tmp_path.iterdir() if file.name not in ("1", "2"))
        noted = ours.read_text().splitlines()
        assert noted == [each.key for each in payloads]
        groups.append((batch_of(os.getpid()), [each.key.split()[-1] for each in payloads]))
        return identify(payloads)

    monkeypatch.setattr(model, "identify", watched)
    requests = [sent("two", 9, ["answer"]), sent("one", 2), sent("new", 1), sent("two", 3), sent("waited", 5)]
    by_gateway, alone, new, refused, waited = model.execute(requests)
    assert [names for _, names in groups] == [["new", "waited"], ["one"]]
    assert groups[0][0] != groups[1][0], "a time of its own until it is overdue"
    assert [each.error for each in (by_gateway, alone, new, waited)] == [None] * 4
    assert by_gateway.values()["answer"].item().startswith(b"507 Insufficient Storage\n")
    assert (refused.error.code, str(refused.error)[:12]) == ("UNAVAILABLE", "worker_died:")
    # the first attempt of another caller with the same id
    assert model.execute([sent("two", 1)])[0].error is None


def test_options_in_headers_count_for_tensors_too(model: Any) -> None:
    (answer,) = model.execute([InferenceRequest([audio(AUDIO)], given={"x-top-k": "1"})])
    assert answer.values()["label"].shape == (1, 1)


def test_the_wrong_numpy_ends_the_start(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import triton_model

    monkeypatch.setattr(triton.Tensor, "as_numpy", lambda self: np.array([1.0, 1.0]))
    with pytest.raises(RuntimeError, match=r"run it with numpy 1\.26\.4"):
        triton_model.check_numpy()


@pytest.mark.usefixtures("model")  # triton_model can be imported
def test_a_log_line_that_a_full_disk_does_not_take_costs_nothing_and_later_ones_are_written(
    tmp_path: Path,
) -> None:
    from triton_model import Lines

    log = tmp_path / "log"
    log.symlink_to("/dev/full")
    lines = logging.Logger("lines")
    lines.addHandler(Lines(log))
    lines.info("lost")
    log.unlink()
    lines.info("kept")
    log.replace(tmp_path / "rotated")
    lines.info("kept too")
    assert ((tmp_path / "rotated").read_text(), log.read_text()) == ("kept\n", "kept too\n")
