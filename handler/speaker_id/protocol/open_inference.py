"""The Open Inference Protocol (KServe v2, Triton): https://github.com/kserve/open-inference-protocol.

Input tensors, in order, become clips: `BYTES` of shape [clips] or [clips, 1] holds one file an element, in base64, or
as it is in a binary tensor (`binary`); `FP32` holds waveforms of shape [samples], [clips, samples] or [clips, channels,
samples], with a `sampling_rate` parameter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from speaker_id.clip import MAX_CHANNELS, Clip, EncodedAudio, RawAudio
from speaker_id.errors import InvalidParameter, MalformedRequest, RequestError, RequestTooLarge
from speaker_id.protocol import binary, scheduling, values
from speaker_id.protocol.outputs import wanted_outputs
from speaker_id.protocol.request import Options, Request
from speaker_id.settings import MAX_DIMENSIONS, MAX_ID_CHARACTERS, MAX_NAME_CHARACTERS, Settings

# KServe's SDK sends the last two
REQUEST_KEYS = ("inputs", "parameters", "id", "outputs", "model_name", "model_version")
TENSOR_KEYS = ("name", "shape", "datatype", "data", "parameters")
TENSOR_PARAMETERS = ("sampling_rate", "content_type", "binary_data_size")
PARAMETERS = (*values.OPTION_NAMES, "sampling_rate", "binary_data_output", *scheduling.PARAMETERS)


def parse_v2(
    document: Mapping[str, Any],
    settings: Settings,
    outside: tuple[Options, ...],
    tail: binary.Tail | None = None,
    known: tuple[str, ...] = (*PARAMETERS, *values.INSIDE),
) -> Request:
    """Parse a v2 request.

    Args:
        document: its JSON.
        settings: limits.
        outside: options that were given elsewhere than in the JSON.
        tail: the bytes after the JSON; None where the request declares none.
        known: names of parameters that a message lists.

    Raises:
        MalformedRequest, InvalidParameter, AudioTooLong, RequestTooLarge: with the clip's index as `instance`.
    """
    for key in document:
        values.one_of(key, REQUEST_KEYS, "key")
    identifier = document.get("id")
    if identifier is not None and not isinstance(identifier, str):
        raise MalformedRequest(f"id must be a string, not {values.kind(identifier)}")
    if identifier is not None and len(identifier) > MAX_ID_CHARACTERS:
        raise InvalidParameter(
            f"id has {len(identifier)} characters; at most {MAX_ID_CHARACTERS} are accepted"
        )
    for key in ("model_name", "model_version"):  # the path decides
        if not isinstance(document.get(key), (str, type(None))):
            raise MalformedRequest(f"{key} must be a string, not {values.kind(document[key])}")
    given = values.named(document.get("parameters"), known)
    rate, as_bytes = given.pop("sampling_rate", None), given.pop("binary_data_output", None)
    seconds = scheduling.timeout({name: given.pop(name, None) for name in scheduling.PARAMETERS})
    clips: list[Clip] = []
    names = set[str]()
    for tensor in document["inputs"]:
        before = len(clips)
        try:
            check_tensor(tensor, settings, before, names)
            clips += tensor_clips(tensor, rate, settings, tail)
        except RequestError as error:  # a tensor counts its own clips from 0
            error.instance = before + (error.instance or 0)
            raise
    if tail:
        tail.check_empty()
    options = values.first(values.options(given, "parameter"), *outside)
    outputs = wanted_outputs(document.get("outputs"), as_bytes, settings.output_heads, options)
    return Request("v2", tuple(clips), options, identifier, outputs, seconds)


def raw_v2(tail: binary.Tail, settings: Settings, outside: tuple[Options, ...]) -> Request:
    """Return a request that has no JSON: its body is the one element of a BYTES tensor, its answer is binary.

    The length before an element is left out, as only one is there.
    """
    clip, options = EncodedAudio(tail.content), values.first(*outside)
    outputs = wanted_outputs(None, True, settings.output_heads, options)
    return Request("v2", (clip,), options, outputs=outputs)


def check_tensor(tensor: Any, settings: Settings, before: int, names: set[str]) -> None:
    """Reject a tensor by its name and shape alone, if they are invalid, known already, or too large."""
    if not isinstance(tensor, dict):
        raise MalformedRequest(f"an input must be an object, not {values.kind(tensor)}")
    for key in tensor:
        values.one_of(key, TENSOR_KEYS, "input key")
    name = tensor.get("name")
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME_CHARACTERS:
        raise MalformedRequest(
            f"an input must have a name of 1 to {MAX_NAME_CHARACTERS} characters, not {values.shown(name)}"
        )
    if name in names:
        raise MalformedRequest(f"two inputs have the name {values.shown(name)}; give each its own")
    names.add(name)
    sizes = values.shape(tensor.get("shape"), "shape")
    datatype = tensor.get("datatype")
    if datatype not in ("BYTES", "FP32"):
        raise InvalidParameter(f"datatype must be BYTES or FP32, not {values.shown(datatype)}")
    if datatype == "BYTES" and (len(sizes) != 1 and sizes[1:] != (1,)):
        raise MalformedRequest(f"a BYTES input must have the shape [clips] or [clips, 1], not {list(sizes)}")
    if not sizes:
        raise MalformedRequest("an FP32 input must have 1 to 3 dimensions, not 0")
    count = before + (1 if datatype == "FP32" and len(sizes) == 1 else sizes[0])
    if count > settings.max_request_clips:
        raise RequestTooLarge(
            f"the request has {count} or more clips; at most {settings.max_request_clips} are accepted"
        )


def tensor_clips(
    tensor: Mapping[str, Any], rate: Any, settings: Settings, tail: binary.Tail | None
) -> list[Clip]:
    """Return the clips of a tensor that passed `check_tensor`."""
    given = values.named(tensor.get("parameters"), TENSOR_PARAMETERS)
    name, sizes = tensor["name"], tuple(tensor["shape"])
    data: Any = tensor.get("data")
    size = given.get("binary_data_size")
    content = None if size is None else binary_content(size, data, name, tail)
    if content is None and not isinstance(data, values.LISTS):
        raise MalformedRequest(f"data must be a list, not {values.kind(data)}")
    if tensor["datatype"] == "BYTES":
        return bytes_clips(sizes, data) if content is None else binary_clips(sizes, content, name)
    hertz = check_waveforms(sizes, given.get("sampling_rate", rate), settings)
    array = waveforms(sizes, data) if content is None else binary.waveforms(content, sizes, name)
    return [RawAudio(samples, hertz) for samples in (array if len(sizes) > 1 else array[None])]


def binary_content(size: Any, data: Any, name: str, tail: binary.Tail | None) -> memoryview:
    """Return the bytes of a binary tensor."""
    if data is not None:
        raise MalformedRequest(f"input {values.shown(name)} has both data and binary_data_size: send one")
    if tail is None:
        raise MalformedRequest(
            f"input {values.shown(name)} has binary_data_size, which needs the header Inference-Header-Content-Length: "
            "the length of the JSON in bytes"
        )
    return tail.take(size, name)


def binary_clips(sizes: tuple[int, ...], content: memoryview, name: str) -> list[Clip]:
    clips: list[Clip] = []
    for index, element in enumerate(binary.elements(content, sizes[0], name)):
        if not element:
            raise MalformedRequest(f"input {values.shown(name)} contains no audio: 0 bytes", instance=index)
        clips.append(EncodedAudio(element))
    return clips


def bytes_clips(sizes: tuple[int, ...], data: Sequence[Any]) -> list[Clip]:
    if len(data) != sizes[0]:
        raise MalformedRequest(f"data has {len(data)} elements, but shape {list(sizes)} declares {sizes[0]}")
    clips: list[Clip] = []
    for index, element in enumerate(data):
        # with shape [clips, 1] each element may be a list of one
        alone = len(sizes) == 2 and isinstance(element, list) and len(element) == 1
        text = element[0] if alone else element
        try:
            clips.append(values.encoded_audio(text, "data"))
        except RequestError as error:
            error.instance = index
            raise
    return clips


def check_waveforms(sizes: tuple[int, ...], rate: Any, settings: Settings) -> int:
    """Return the sampling rate in Hz of an FP32 tensor, whose shape is rejected if a clip would be too large."""
    if rate is None:
        raise InvalidParameter("an FP32 input needs the parameter sampling_rate, in Hz")
    hertz = values.sampling_rate(rate, "sampling_rate")
    values.check_seconds(sizes[-1], hertz, settings)
    if len(sizes) == 3 and not 1 <= sizes[1] <= MAX_CHANNELS:
        raise MalformedRequest(f"the shape has {sizes[1]} channels; 1 to {MAX_CHANNELS} are accepted")
    return hertz


def waveforms(sizes: tuple[int, ...], data: Sequence[Any]) -> npt.NDArray[np.float32]:
    """Return the numbers of an FP32 tensor's JSON in its shape."""
    rows = values.innermost(data, MAX_DIMENSIONS, "data")
    count = sum(map(len, rows))
    if count != math.prod(sizes):
        raise MalformedRequest(
            f"data has {count} numbers, but shape {list(sizes)} declares {math.prod(sizes)}"
        )
    return values.numbers(rows, "data").reshape(sizes)
