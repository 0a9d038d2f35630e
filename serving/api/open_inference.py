"""Schemas of the Open Inference Protocol's requests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from speaker_id.protocol import EMBEDDING
from speaker_id.protocol.outputs import names
from speaker_id.settings import MAX_DIMENSIONS, MAX_ID_CHARACTERS, MAX_NAME_CHARACTERS, Settings

from serving.api import example
from serving.api.requests import (
    FUNCTION,
    OUTPUT,
    TOP_K,
    Schema,
    closed,
    heads_of,
    ref,
    some_heads,
    thresholds,
)

PATH_DECIDES: Schema = {"type": "string", "description": "Accepted and ignored: the path decides."}
IGNORED: Schema = {"type": "string", "description": "Accepted and ignored."}
FLAG: Schema = {"type": "boolean"}
WHOLE: Schema = {"type": "integer", "minimum": 0, "exclusiveMaximum": 2**64}
SCHEDULING: dict[str, Schema] = {
    "timeout": {
        **WHOLE,
        "description": "Microseconds, as the header `X-Request-Timeout` in seconds; 0 is none.",
    },
    "priority": {**WHOLE, "description": "Accepted: all requests have one priority."},
    "sequence_id": {
        "anyOf": [WHOLE, {"type": "string", "maxLength": MAX_ID_CHARACTERS}],
        "description": "Accepted: each request of a sequence is answered by itself.",
    },
    "sequence_start": {**FLAG, "description": "Needs a `sequence_id`."},
    "sequence_end": {**FLAG, "description": "Needs a `sequence_id`."},
}
AS_BYTES = "As bytes after the JSON of the answer."


def schemas(clips: int, settings: Sequence[Settings]) -> dict[str, Schema]:
    """Every schema of a request, by name.

    Args:
        clips: the most that one request may carry.
        settings: of the models served.
    """
    outputs = [*sorted({name for each in settings for name in names(each.output_heads)}), EMBEDDING]
    return {
        "V2Input": {"oneOf": [ref("V2Files"), ref("V2Waveforms")]},
        "V2Files": files(clips),
        "V2FilesParameters": parameters({}),
        "V2Waveforms": waveforms(),
        "V2WaveformsParameters": parameters({"sampling_rate": ref("SamplingRate")}),
        "V2WantedOutput": wanted(outputs),
        "V2Parameters": closed(
            {
                "top_k": TOP_K,
                "function_to_apply": FUNCTION,
                "heads": some_heads(heads_of(settings)),
                "output": OUTPUT,
                **thresholds(settings),
                "sampling_rate": ref("SamplingRate"),
                "binary_data_output": {**FLAG, "description": f"Every output: {AS_BYTES.lower()}"},
                **SCHEDULING,
            }
        ),
        "V2Request": closed(
            {
                "id": {
                    "type": "string",
                    "maxLength": MAX_ID_CHARACTERS,
                    "description": "Repeated in the answer.",
                },
                "model_name": PATH_DECIDES,
                "model_version": PATH_DECIDES,
                "inputs": {"type": "array", "items": ref("V2Input")},
                "outputs": {
                    "type": "array",
                    "items": ref("V2WantedOutput"),
                    "maxItems": len(outputs),
                    "description": "Which of the outputs, each once; by default those of `heads`.",
                },
                "parameters": ref("V2Parameters"),
            },
            ["inputs"],
            "Clips, as the Open Inference Protocol takes them: tensors, in order.",
            examples=examples(outputs[0]),
        ),
    }


def tensor(datatype: str, layouts: str, data: Schema, parameters: str, description: str) -> Schema:
    """An input of one datatype."""
    return closed(
        {
            "name": {
                "type": "string",
                "minLength": 1,
                "maxLength": MAX_NAME_CHARACTERS,
                "description": "Any that no other input has.",
            },
            "datatype": {"type": "string", "const": datatype},
            "shape": {
                "type": "array",
                "items": {"type": "integer", "minimum": 0},
                "minItems": 1,
                "maxItems": MAX_DIMENSIONS,
                "description": layouts,
            },
            "data": data,
            "parameters": ref(parameters),
        },
        ["name", "shape", "datatype"],
        description,
    )


def files(clips: int) -> Schema:
    data = {"type": "array", "items": ref("AudioFile"), "maxItems": clips}
    return tensor(
        "BYTES", "[clips] or [clips, 1]", data, "V2FilesParameters", "Audio files, in base64 or as bytes."
    )


def waveforms() -> Schema:
    return tensor(
        "FP32",
        "[samples], [clips, samples] or [clips, channels, samples]",
        {"type": "array", "items": {}, "description": "The numbers, flat or nested as the shape says."},
        "V2WaveformsParameters",
        "Waveforms, full scale at ±1; `sampling_rate` is a parameter of the tensor or of the request.",
    )


def parameters(more: Schema) -> Schema:
    """Of an input."""
    size = {
        "type": "integer",
        "minimum": 0,
        "description": "In place of `data`: its bytes, after the JSON, whose length is in the header "
        "`Inference-Header-Content-Length`.",
    }
    return closed({**more, "content_type": IGNORED, "binary_data_size": size})


def wanted(outputs: Sequence[str]) -> Schema:
    classes = {
        "type": "integer",
        "minimum": 1,
        "description": 'Of scores: so many of the best, as texts "score:index:label".',
    }
    return closed(
        {
            "name": {"type": "string", "enum": list(outputs)},
            "parameters": closed(
                {
                    "binary_data": {**FLAG, "description": AS_BYTES},
                    "classification": classes,
                    "content_type": IGNORED,
                }
            ),
        },
        ["name"],
    )


def examples(output: str) -> list[Any]:
    file = {"name": "audio", "datatype": "BYTES", "shape": [1], "data": [example.BASE64]}
    waveform = {
        "name": "waveform",
        "datatype": "FP32",
        "shape": [1, example.SAMPLES],
        "data": example.WAVEFORM,
        "parameters": {"sampling_rate": example.RATE},
    }
    return [
        {"id": "1", "inputs": [file], "parameters": {"top_k": 2}},
        {"inputs": [waveform], "outputs": [{"name": output}]},
    ]
