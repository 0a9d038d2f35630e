"""Schemas of the answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from speaker_id.protocol import EMBEDDING
from speaker_id.protocol.render import DATATYPES
from speaker_id.settings import Settings

from serving.api.requests import Schema, ref

STRING: Schema = {"type": "string"}
SPACE: dict[str, Schema] = {
    "model": {"type": "string", "description": "Of an embedding: whose weights made it."},
    "revision": {"type": "string", "description": "Of an embedding: the weights' commit, or their SHA-256."},
    "dim": {"type": "integer", "minimum": 1, "description": "Of an embedding: how many numbers."},
}
STRINGS: Schema = {"type": "array", "items": STRING}


def told(properties: Schema, *optional: str, description: str = "") -> Schema:
    """An object whose keys are all required except the optional ones."""
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if description:
        schema["description"] = description
    schema["required"] = [name for name in properties if name not in optional]
    return schema


def schemas(settings: Sequence[Settings]) -> dict[str, Schema]:
    """Every schema of an answer, by name.

    Args:
        settings: of the models served, some of which may have several heads.
    """
    return {
        "Error": told(
            {
                "error": {"type": "string", "description": "One line: the offending value, and what is allowed."},
                "code": {"type": "string", "description": "Stable name; each status lists its own."},
                "instance": {
                    "type": "integer",
                    "minimum": 0,
                    "description": "Which clip of a v1 or v2 request is at fault, from 0.",
                },
                "seconds": {"type": "number", "description": "Of a recording that is too long: how long it may be."},
            },
            "instance",
            "seconds",
        ),
        **rankings(settings),
        **open_inference(),
        **health(),
    }  # fmt: skip


def rankings(settings: Sequence[Settings]) -> dict[str, Schema]:
    """What one clip's answer is: a ranking, or one of each head."""
    entry = told(
        {
            "label": STRING,
            "score": {"type": "number", "description": "From 0 to 1, except with `function_to_apply=none`."},
        }
    )
    found = {
        "Entry": entry,
        "Ranking": {"type": "array", "items": ref("Entry"), "description": "Best first."},
    }
    kinds = [ref("Ranking")] if any("" in each.output_heads for each in settings) else []
    if heads := sorted({head for each in settings for head in each.heads}):
        found["RankingsByHead"] = {
            "type": "object",
            "additionalProperties": ref("Ranking"),
            "description": f"A ranking for each head that is asked for: {', '.join(heads)}.",
        }
        kinds.append(ref("RankingsByHead"))
    found["Embedding"] = told(
        {
            **SPACE,
            EMBEDDING: {
                "type": "array",
                "items": {"type": "number"},
                "description": "Of length 1: a product of two is their cosine.",
            },
        },
        description="With `output=embedding`. Only embeddings of one `model` and `revision` can be compared.",
    )
    found["Answer"] = {"oneOf": [*kinds, ref("Embedding")]}
    times: Schema = {"start": {"type": "number"}, "end": {"type": "number"}}
    of_window = kinds[0] if len(kinds) == 1 else {"oneOf": kinds}
    windows = told({**times, "ranking": of_window})
    turns = {"type": "array", "items": told({**times, **entry["properties"]})}
    found["Recording"] = told(
        {
            "windows": {"type": "array", "items": windows},
            "turns": {"anyOf": [turns, {"type": "object", "additionalProperties": turns}]},
        },
        description="With `windows`; times in seconds. A turn is adjacent windows with one label; by head, where the "
        "answer has several. With `Accept: text/rttm`, the turns as RTTM.",
    )
    found["V1Answer"] = told(
        {"predictions": {"type": "array", "items": ref("Answer"), "description": "One a clip, in order."}}
    )
    return found


def open_inference() -> dict[str, Schema]:
    sizes = {"type": "array", "items": {"type": "integer"}, "description": "[clips, top_k]"}
    output = told(
        {
            "name": STRING,
            "datatype": {"type": "string", "enum": sorted(set(DATATYPES.values()))},
            "shape": sizes,
            "data": {"type": "array", "items": {"type": ["string", "number"]}},
            "parameters": told(
                {"binary_data_size": {"type": "integer", "minimum": 0}, **SPACE}, "binary_data_size", *SPACE
            ),
        },
        "data",
        "parameters",
        description='`data`, or the size of its bytes after the JSON. `classification`: texts "score:index:label".',
    )
    tensor = told({"name": STRING, "datatype": STRING, "shape": {**sizes, "description": "-1 is any size."}})
    return {
        "V2Output": output,
        "V2Answer": told(
            {
                "model_name": STRING,
                "model_version": STRING,
                "id": STRING,
                "outputs": {"type": "array", "items": ref("V2Output")},
            },
            "id",
        ),
        "ServerMetadata": told({"name": STRING, "version": STRING, "extensions": STRINGS}),
        "TensorMetadata": tensor,
        "Models": told({"models": STRINGS}),
        "Statistics": told(
            {
                "model_stats": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": [
                            "name",
                            "version",
                            "inference_count",
                            "execution_count",
                            "inference_stats",
                        ],
                        "additionalProperties": {},
                        "description": "Of one version since the server started, in Triton's terms.",
                    },
                }
            }
        ),
        "ModelConfiguration": {
            "type": "object",
            "required": ["name", "max_batch_size", "input", "output"],
            "additionalProperties": {},
            "description": "In Triton's terms; `max_batch_size` is the clips of one request.",
        },
        "ModelMetadata": told(
            {
                "name": STRING,
                "versions": STRINGS,
                "platform": STRING,
                "inputs": {"type": "array", "items": ref("TensorMetadata")},
                "outputs": {"type": "array", "items": ref("TensorMetadata")},
            }
        ),
    }


def health() -> dict[str, Schema]:
    reason = {"type": "string", "description": "Why requests are not answered."}
    less = {"type": "string", "description": "What is refused at present although the server is ready."}
    yes, no = ({"type": "boolean", "const": value} for value in (True, False))
    return {
        "Live": told({"live": {"type": "boolean"}}),
        "Alive": told({"status": {"type": "string", "const": "alive"}}),
        "NotAlive": told({"status": {"type": "string", "const": "not alive"}}),
        "ServerReady": told({"ready": yes, "degraded": less}, "degraded"),
        "ServerNotReady": told({"ready": no, "reason": reason}),
        "ModelReady": told({"name": STRING, "ready": yes}),
        "ModelNotReady": told({"name": STRING, "ready": no, "reason": reason}),
        "Healthy": told({"status": {"type": "string", "const": "Healthy"}, "degraded": less}, "degraded"),
        "Unhealthy": told({"status": {"type": "string", "const": "Unhealthy"}, "reason": reason}),
    }
