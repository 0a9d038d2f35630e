"""Triton's adapter, for its Python backend: requests in, responses out. The rest is `speaker_worker` and `speaker_id`.

A model has two inputs, of which a request sends one, and these outputs:

| tensor | datatype, shape | |
|---|---|---|
| `audio` | BYTES [clips, 1] | whole audio files of any format |
| `waveform` | FP32 [clips, samples] | samples of full scale ±1, of any length; parameter `sampling_rate`, in Hz |
| `label`, `score` | BYTES, FP32 [clips, top_k] | the ranking, best first; parameters `top_k`, `function_to_apply` |
| `scores` | FP32 [clips, labels] | every label's score, which Triton's classification extension ranks |
| `embedding` | FP32 [clips, dim] | of length 1; sent where it is named, or with the parameter `output: embedding` |
| `answer` | BYTES [1, 1] | of the gateway's form, below |

Models of several heads have `label`, `score` and `scores` once a head, as in `action.label`; the parameter `heads`,
names with commas between them, leaves those of some. An error is a `TritonError` whose message is `code: message`, or
`code[clip]: message` where one clip is at fault.

**The gateway's form.** A request for the output `answer` alone has one HTTP body, of any form that is served, as its
one element of `audio`. The model `NAME.http` beside each model asks for that: an ensemble with this one input, so that
Triton takes a request's body as it is, without JSON around it and without a copy:

    POST /v2/models/NAME.http/infer
    Inference-Header-Content-Length: 0
    x-query, x-form, x-path, x-content-encoding, x-inference-header-content-length, x-top-k, x-function-to-apply,
    x-heads, x-output, x-fpir, x-min-score, x-request-timeout, x-request-id, x-received, x-answer-within,
    x-envoy-attempt-count, x-probe, traceparent: as TorchServe's adapter has them; Triton makes parameters of them.
    x-path is the end of the URL (`top_k/3`); x-content-encoding and x-inference-header-content-length are the
    caller's without x-, which Triton would act upon itself.

The response is Triton's (Inference-Header-Content-Length: N, then N bytes of JSON, then the element: its length in four
bytes, little-endian, and its bytes). The element is an HTTP response without its version, the lines ended by LF:

    422 Unprocessable Entity
    X-Model-Name: demo
    …
    (an empty line)
    {"error": …}

Its content type is application/json, with Inference-Header-Content-Length application/octet-stream. Every request is
answered in this way, errors included, except `out_of_memory: message` at the gateway's first attempt: a TritonError of
status 500, so that it tries once more. What Triton itself answers has another status and no element: 400, 404 (`Request
for unknown model`), 500 (`Stub process … is not healthy`: a worker that ended; the gateway tries again until another is
loaded), 503 (`Exceeds maximum queue size`; `Request timeout expired`).
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

import numpy as np
import torch
import triton_python_backend_utils as pb_utils
import yaml
from speaker_id import errors
from speaker_id.protocol import Model, Tensors, outputs_of
from speaker_id.settings import Settings
from speaker_id.statuses import STATUS
from speaker_worker import Answer, Asked, Worker, fair_share, payload
from triton_metrics import PrometheusSink

ANSWER = "answer"
# without x-, Triton would act upon them
FOR_TRITON = ("x-content-encoding", "x-inference-header-content-length")
LOG_VARIABLE = "SPEAKER_ID_LOG"  # a file for the log lines; without it they go to Triton's output
CONFIG_FILE, MANIFEST = "model-config.yaml", "MAR-INF/MANIFEST.json"  # of the archive that it was made from


class TritonPythonModel(Worker):
    """One instance's model. Triton creates it, calls `initialize` once, and `execute` for every batch."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Verify, load and warm up the model; the instance is ready when this returns.

        Raises:
            CheckpointError: the checkpoint is not what its manifest says.
            RuntimeError: this Triton cannot use this numpy.
        """
        check_numpy()
        log()
        config = json.loads(args["model_config"])
        folder = Path(args["model_repository"]).resolve() / args["model_version"]
        ours = yaml.safe_load((folder / CONFIG_FILE).read_text("utf-8"))["speaker_id"]
        settings = Settings(**ours)
        gpu = args["model_instance_kind"] == "GPU" and torch.cuda.is_available()
        device = f"cuda:{args['model_instance_device_id']}" if gpu else "cpu"
        workers = sum(group["count"] for group in config["instance_group"])
        torch.set_num_threads(settings.torch_threads or fair_share(workers))
        packed = json.loads((folder / MANIFEST).read_text("utf-8"))["model"]
        model = Model(packed["modelName"], packed["modelVersion"])
        self.outputs = outputs_of(settings.output_heads)
        self.load(folder, model, settings, device, PrometheusSink.from_environment(model))

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer every request of a batch; a bad one costs the others nothing."""
        read = [self.asked(request) for request in requests]
        answers = iter(self.answer([each for each in read if each is not None]))
        return [
            response(request, next(answers), each.again) if each is not None else illegible()
            for request, each in zip(requests, read, strict=True)
        ]

    def asked(self, request: Any) -> Asked | None:
        """Convert Triton's request: the body of the gateway's form, or tensors; None if its parameters are no text."""
        try:
            given = json.loads(request.parameters() or "{}")
        except UnicodeDecodeError:  # Triton passes on any bytes
            return None
        headers = headers_of(given)
        inputs = {tensor.name(): tensor for tensor in request.inputs()}
        wanted = request.requested_output_names()
        if is_gateways(request):
            body = inputs["audio"].as_numpy().reshape(-1)[0] if "audio" in inputs else b""
            return Asked(
                payload({"body": body}, restored(headers), headers.get("x-path", "")), request.request_id()
            )
        waveform = (
            torch.utils.dlpack.from_dlpack(inputs["waveform"]).numpy() if "waveform" in inputs else None
        )
        tensors = Tensors(
            audio=inputs["audio"].as_numpy().reshape(-1).tolist() if "audio" in inputs else (),
            waveforms=waveform,
            parameters={name: value for name, value in given.items() if not is_header(name)},
            # Triton asks for all where the caller names none; nobody names the gateway's beside others
            outputs=() if ANSWER in wanted else tuple(name for name in self.outputs if name in wanted),
        )
        read = payload({}, headers)
        return Asked(replace(read, tensors=tensors), request.request_id())


def is_gateways(request: Any) -> bool:
    return list(request.requested_output_names()) == [ANSWER]


def is_header(name: str) -> bool:
    """Return whether Triton made this parameter of a header: `--http-header-forward-pattern` says of which."""
    return name.lower().startswith("x-") or name.lower() == "traceparent"


def headers_of(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers among a request's parameters, in lower case.

    A message may have parameters of the same names. The gateway's headers are in lower case and set last, so they win.
    """
    found = {name: value for name, value in parameters.items() if isinstance(value, str) and is_header(name)}
    last = sorted(found, key=lambda name: name == name.lower())
    return {name.lower(): found[name] for name in last}


def restored(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers as callers name them, with those that would mean something to Triton itself."""
    return {name[2:] if name in FOR_TRITON else name: value for name, value in headers.items()}


def response(request: Any, answer: Answer, again: bool) -> Any:
    """Convert an answer to Triton's response.

    Args:
        request: Triton's.
        answer: to it.
        again: whether the gateway has tried before; it does not again.
    """
    error = answer.outcome.error if answer.outcome is not None else None
    if isinstance(error, errors.OutOfMemory) and not again:
        return pb_utils.InferenceResponse(error=triton_error(error, pb_utils.TritonError.INTERNAL))
    if is_gateways(request):
        return pb_utils.InferenceResponse([pb_utils.Tensor(ANSWER, np.array([[element(answer)]], object))])
    if error is not None:
        lacking = STATUS[type(error)] >= HTTPStatus.INTERNAL_SERVER_ERROR
        kind = pb_utils.TritonError.UNAVAILABLE if lacking else pb_utils.TritonError.INVALID_ARG
        return pb_utils.InferenceResponse(error=triton_error(error, kind))
    named = answer.outcome.tensors if answer.outcome is not None else {}
    return pb_utils.InferenceResponse([tensor(name, values) for name, values in named.items()])


def illegible() -> Any:
    """Make the answer to a request whose parameters cannot be read."""
    error = errors.MalformedRequest("a parameter, or a header that becomes one, is not text in UTF-8")
    return pb_utils.InferenceResponse(error=triton_error(error, pb_utils.TritonError.INVALID_ARG))


def element(answer: Answer) -> bytes:
    """Write an answer in the gateway's form."""
    lines = [f"{answer.status.value} {answer.status.phrase}", *map(": ".join, answer.headers.items()), "", ""]
    return "\n".join(lines).encode("ascii") + answer.body


def triton_error(error: errors.RequestError, kind: Any) -> Any:
    """Make Triton's error. It has four statuses for errors: the code in the message says the others."""
    where = "" if error.instance is None else f"[{error.instance}]"
    return pb_utils.TritonError(f"{error.code}{where}: {error.message}", kind)


def tensor(name: str, values: np.ndarray[Any, Any]) -> Any:
    """Make an output; numbers go by DLPack, which no version of numpy stands between."""
    if values.dtype == object:
        return pb_utils.Tensor(name, values)
    return pb_utils.Tensor.from_dlpack(name, torch.from_numpy(values))


def check_numpy() -> None:
    """Raise unless this Triton's Python backend reads and writes arrays of this numpy.

    One that was built for numpy 1 takes the size of an element of numpy 2's arrays for 0: tensors of text are then
    answered empty, without an error, and one that is received ends the process.
    """
    expected = [1.0, 2.0]
    if pb_utils.Tensor.from_dlpack("check", torch.tensor(expected)).as_numpy().tolist() != expected:
        raise RuntimeError(
            f"this Triton's Python backend does not work with numpy {np.__version__}: run it with numpy 1.26.4, or "
            "take a newer Triton"
        )


class Lines(logging.Handler):
    """Appends each line to a file that others write to and rotate; what a full disk does not take is not written.

    The file is opened once a line: a stream would keep what could not be written, and raise it over a later batch.
    """

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError), self.file.open("ab", buffering=0) as file:
            file.write(f"{self.format(record)}\n".encode())


def log() -> None:
    """Write this process's log lines, JSON objects, to the file that the server names."""
    file = os.environ.get(LOG_VARIABLE)
    handler = Lines(Path(file)) if file else logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
