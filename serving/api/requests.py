"""Schemas of the bodies that carry clips, bounded by the constants that the parser reads."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from speaker_id.clip import MAX_CHANNELS, MAX_LEVEL, MAX_SAMPLE_RATE, MIN_SAMPLE_RATE
from speaker_id.protocol.parse import AUDIO_PARTS
from speaker_id.protocol.values import FUNCTIONS, KINDS
from speaker_id.settings import ALL_HEADS, FPIR, Settings

from serving.api import example
from serving.recordings.windows import LEAST_HOP, LONGEST, SHORTEST

Schema = dict[str, Any]

TOP_K: Schema = {
    "type": "integer",
    "minimum": 1,
    "description": "How many labels, best first; a number beyond the model's labels gives all of them.",
}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


FUNCTION = ref("ScoreFunction")
OUTPUT = ref("AnswerKind")
HEADS = ref("Heads")
FALSE_ALARMS: Schema = {
    "type": "number",
    "minimum": FPIR[0],
    "maximum": FPIR[1],
    "description": "Share of strangers' clips that may get another label than `unknown`; the head's own by default. "
    "Not with `min_score`.",
}
MIN_SCORE: Schema = {
    "type": "number",
    "minimum": 0,
    "maximum": 1,
    "description": "Probability that a label must reach against `unknown`. Not with `fpir`.",
}
WINDOW: Schema = {
    "type": "number",
    "minimum": SHORTEST,
    "maximum": LONGEST,
    "description": "Answer a recording in windows of so many seconds.",
}
HOP: Schema = {
    "type": "number",
    "minimum": LEAST_HOP,
    "maximum": LONGEST,
    "description": "Seconds between the starts of two windows, at most a window's; that by default.",
}
THRESHOLDS = {"fpir": FALSE_ALARMS, "min_score": MIN_SCORE}


def closed(properties: Schema, required: Sequence[str] = (), description: str = "", **more: Any) -> Schema:
    """An object whose other keys are refused by name."""
    told = {"description": description} if description else {}
    names = {"required": list(required)} if required else {}
    return {
        "type": "object",
        **told,
        "properties": properties,
        **names,
        "additionalProperties": False,
        **more,
    }


def schemas(settings: Sequence[Settings]) -> dict[str, Schema]:
    """Every schema of a request, by name.

    Args:
        settings: of the models served: the widest bound of them is the schema's.
    """
    clips = max(each.max_request_clips for each in settings)
    defaults = {each.default_top_k for each in settings}
    known = heads_of(settings)
    top_k = {**TOP_K, "default": defaults.pop()} if len(defaults) == 1 else TOP_K
    return {
        "AudioFile": {
            "type": "string",
            "contentEncoding": "base64",
            "minLength": 1,
            "description": "An audio file in base64: standard or URL-safe, padded or not, bare or as "
            "`data:…;base64,…`.",
            "examples": [example.BASE64],
        },
        "SamplingRate": {
            "type": "integer",
            "minimum": MIN_SAMPLE_RATE,
            "maximum": MAX_SAMPLE_RATE,
            "description": "Hz",
        },
        "ScoreFunction": {
            "type": "string",
            "enum": list(FUNCTIONS),
            "description": "From logits to scores. The checkpoint's own by default.",
        },
        "Samples": {
            "type": "array",
            "items": {"type": "number", "minimum": -MAX_LEVEL, "maximum": MAX_LEVEL},
            "description": "One channel, full scale at ±1.",
        },
        "AnswerKind": {
            "type": "string",
            "enum": list(KINDS),
            "description": "What to answer with: the ranking by default, or the embedding.",
        },
        **heads(known),
        "Options": closed(
            {
                "top_k": top_k,
                "function_to_apply": FUNCTION,
                "heads": some_heads(known),
                "output": OUTPUT,
                **thresholds(settings),
                "windows": {
                    "anyOf": [WINDOW, ref("Windows")],
                    "description": "Of one recording, whose answer is a `Recording` then.",
                },
            },
            description="Over what the path, a header or the query gives.",
        ),
        "Windows": closed({"seconds": WINDOW, "hop": HOP}, ["seconds"]),
        "Form": form(known, thresholds(settings)),
        **inference_api(),
        **kserve_v1(clips),
    }


def heads_of(settings: Sequence[Settings]) -> list[str]:
    """Every name that the option `heads` may hold for one of the models: of a head, of a group of them, or of all."""
    names = {name for each in settings for head in each.heads for name in (head, head.split(".")[0])}
    return [*sorted(names), ALL_HEADS] if names else []


def heads(known: Sequence[str]) -> dict[str, Schema]:
    """The names with commas between them, where a model has several heads."""
    if not known:
        return {}
    name = f"({'|'.join(map(re.escape, known))})"
    told = "Heads of the model to answer with, separated by commas; by default all, or its default head."
    return {"Heads": {"type": "string", "pattern": f"^{name}(,{name})*$", "description": told}}


def some_heads(known: Sequence[str]) -> Schema:
    """The option in JSON."""
    if not known:
        return {"type": "null", "description": "No model that is served has several heads."}
    names = {"type": "array", "items": {"type": "string", "enum": list(known)}, "minItems": 1}
    return {"anyOf": [names, HEADS], "description": "Heads of the model to answer with."}


def opens(settings: Sequence[Settings]) -> bool:
    """Whether a model may answer `unknown`."""
    return any(each.open_sets for each in settings)


def thresholds(settings: Sequence[Settings]) -> dict[str, Schema]:
    """The options about it, which are refused where no model may."""
    return THRESHOLDS if opens(settings) else {}


def form(known: Sequence[str], thresholds: dict[str, Schema]) -> Schema:
    """A multipart body: one audio part, under any of its names, and the options."""
    first, *others = (name for name in AUDIO_PARTS if name != "body")
    part = {"type": "string", "format": "binary"}
    properties = {
        first: {**part, "description": "The audio file."},
        **{name: {**part, "description": f"In place of `{first}`."} for name in others},
        "top_k": TOP_K,
        "function_to_apply": FUNCTION,
        **({"heads": HEADS} if known else {}),
        "output": OUTPUT,
        **thresholds,
    }
    return closed(properties, description=f"One of {', '.join((first, *others))}, and each part once.")


def inference_api() -> dict[str, Schema]:
    return {
        "InferenceApiRequest": closed(
            {
                "inputs": ref("AudioFile"),
                "parameters": ref("Options"),
                "options": {"type": "object", "description": "Hugging Face's own: accepted and ignored."},
            },
            ["inputs"],
            "One clip, as Hugging Face's inference API takes it.",
            examples=[{"inputs": example.BASE64, "parameters": {"top_k": 2}}],
        )
    }


def kserve_v1(clips: int) -> dict[str, Schema]:
    array = {
        "anyOf": [
            ref("Samples"),
            {
                "type": "array",
                "items": ref("Samples"),
                "minItems": 1,
                "maxItems": MAX_CHANNELS,
                "description": "Channels of equal length.",
            },
        ]
    }
    waveform = {"array": example.WAVEFORM, "sampling_rate": example.RATE}
    return {
        "V1File": closed({"b64": ref("AudioFile")}, ["b64"]),
        "V1Data": closed({"data": ref("AudioFile")}, ["data"], "Another name for `b64`."),
        "V1Waveform": closed(
            {"array": array, "sampling_rate": ref("SamplingRate")}, ["array", "sampling_rate"]
        ),
        "V1Instance": {
            "oneOf": [ref("V1File"), ref("V1Data"), ref("V1Waveform")],
            "description": "One clip: a file or a waveform.",
        },
        "V1Request": closed(
            {
                "instances": {"type": "array", "items": ref("V1Instance"), "maxItems": clips},
                "parameters": ref("Options"),
                "signature_name": {"type": "string", "description": "Accepted and ignored."},
            },
            ["instances"],
            "Clips, as KServe's protocol v1 takes them.",
            examples=[{"instances": [{"b64": example.BASE64}, waveform], "parameters": {"top_k": 2}}],
        ),
    }
