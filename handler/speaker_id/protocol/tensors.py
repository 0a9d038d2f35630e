"""Tensors of a server's own in place of a body: the same clips, options and rankings, without text in between.

| output | datatype | shape |
|---|---|---|
| `label`, `score` | BYTES, FP32 | [clips, top_k]: the ranking, best first |
| `scores` | FP32 | [clips, labels]: every label's score in the labels' order, for a server's own top-k |

| `embedding` | FP32 | [clips, dim]: of length 1 |

A model of several heads has each of the first three once a head, as in `action.label`, and those of its default head
without the name too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from speaker_id.clip import Clip, EncodedAudio, RawAudio
from speaker_id.errors import MalformedRequest, RequestTooLarge
from speaker_id.protocol import outputs, values
from speaker_id.protocol.heads import chosen
from speaker_id.protocol.open_inference import check_waveforms
from speaker_id.protocol.render import not_finite
from speaker_id.protocol.request import (
    EMBEDDING,
    Embedding,
    Options,
    Output,
    Rankings,
    Request,
    Tensors,
)
from speaker_id.settings import Settings

OUTPUTS = ("label", "score", "scores")
PARAMETERS = (*values.OPTION_NAMES, "sampling_rate")

Named = dict[str, npt.NDArray[Any]]  # by output; labels are an array of bytes objects


def outputs_of(heads: Sequence[str]) -> tuple[str, ...]:
    """Return the names of all outputs of a model with these heads."""
    return (*outputs.names(heads, OUTPUTS), EMBEDDING)


def parse_tensors(tensors: Tensors, settings: Settings, outside: tuple[Options, ...]) -> Request:
    """Convert a caller's tensors to a request.

    Raises:
        MalformedRequest, InvalidParameter, AudioTooLong, RequestTooLarge: with the clip's index as `instance`.
    """
    given = {values.one_of(key, PARAMETERS, "parameter"): value for key, value in tensors.parameters.items()}
    rate = given.pop("sampling_rate", None)
    clips: list[Clip] = []
    for index, data in enumerate(tensors.audio):
        if not data:
            raise MalformedRequest("audio contains no bytes", instance=index)
        clips.append(EncodedAudio(data))
    if tensors.waveforms is not None:
        hertz = check_waveforms(tensors.waveforms.shape, rate, settings)
        clips += [RawAudio(samples, hertz) for samples in tensors.waveforms]
    if not clips:
        raise MalformedRequest("the request has no clip: send audio files or waveforms")
    if len(clips) > settings.max_request_clips:
        raise RequestTooLarge(
            f"the request has {len(clips)} clips; at most {settings.max_request_clips} are accepted"
        )
    options = values.first(values.options(given, "parameter"), *outside)
    wanted = tuple(Output(name, binary=True) for name in tensors.outputs or unnamed(options, settings))
    return Request("tensors", tuple(clips), options, outputs=wanted)


def unnamed(options: Options, settings: Settings) -> tuple[str, ...]:
    """Return the outputs of a request that names none: those of its heads, or the embedding where it asks for that."""
    heads = chosen(options, settings.output_heads)
    return (EMBEDDING,) if options.output == EMBEDDING else outputs.names(heads, OUTPUTS)


def render_tensors(
    request: Request,
    rankings: Sequence[Rankings],
    scores: Sequence[Mapping[str, npt.NDArray[np.float32]]],
    embeddings: Sequence[Embedding] = (),
) -> Named:
    """Return the outputs that were asked for.

    Args:
        request: names them.
        rankings: one a clip, in order.
        scores: one a clip: every label's, by head; "" where there is one head only.
        embeddings: one a clip, where they are asked for.

    Raises:
        NonFiniteAudio: a score is NaN or infinite.
    """
    answer: Named = {}
    for name in (output.name for output in request.outputs):
        head, _, field = name.rpartition(".")
        if field == EMBEDDING:
            answer[name] = np.array(embeddings, np.float32)
            continue
        if field == "scores":
            answer[name] = np.stack([each[head] for each in scores])
            continue
        rows = [found[head] if isinstance(found, dict) else found for found in rankings]
        if field == "label":
            answer[name] = np.array([[entry["label"].encode() for entry in row] for row in rows], object)
        else:
            answer[name] = np.array([[entry["score"] for entry in row] for row in rows], np.float32)
    if not all(np.isfinite(each).all() for each in answer.values() if each.dtype != object):
        raise not_finite()
    return answer
