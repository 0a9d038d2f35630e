"""The Open Inference Protocol (KServe v2, Triton): https://github.com/kserve/open-inference-protocol.

Input tensors, in order, become clips: `BYTES` of shape [clips] or [clips, 1] holds one base64 file an element; `FP32`
holds waveforms of shape [samples], [clips, samples] or [clips, channels, samples], with a `sampling_rate` parameter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from speaker_id.clip import MAX_CHANNELS, Clip, RawAudio
from speaker_id.errors import InvalidParameter, MalformedRequest, RequestError, RequestTooLarge
from speaker_id.protocol import values
from speaker_id.protocol.request import Options, Request
from speaker_id.settings import MAX_DIMENSIONS, MAX_ID_CHARACTERS, Settings

# KServe's SDK sends the last two
REQUEST_KEYS = ("inputs", "parameters", "id", "outputs", "model_name", "model_version")
TENSOR_KEYS = ("name", "shape", "datatype", "data", "parameters")
OUTPUTS = ("label", "score")


def parse_v2(document: Mapping[str, Any], settings: Settings, outside: tuple[Options, ...]) -> Request:
    """Parse a v2 request.

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
    given = named(document.get("parameters"), (*values.OPTION_NAMES, "sampling_rate"))
    rate = given.pop("sampling_rate", None)
    clips: list[Clip] = []
    for tensor in document["inputs"]:
        before = len(clips)
        try:
            check_tensor(tensor, settings, before)
            clips += tensor_clips(tensor, rate, settings)
        except RequestError as error:  # a tensor counts its own clips from 0
            error.instance = before + (error.instance or 0)
            raise
    options = values.first(values.options(given, "parameter"), *outside)
    return Request("v2", tuple(clips), options, identifier, wanted_outputs(document.get("outputs"), settings))


def named(given: Any, known: tuple[str, ...]) -> dict[str, Any]:
    """Return a parameters object; raise for an unknown name."""
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise MalformedRequest(f"parameters must be an object, not {values.kind(given)}")
    return {values.one_of(key, known, "parameter"): value for key, value in given.items()}


def check_tensor(tensor: Any, settings: Settings, before: int) -> None:
    """Reject a tensor by its shape alone, if that is invalid or too large."""
    if not isinstance(tensor, dict):
        raise MalformedRequest(f"an input must be an object, not {values.kind(tensor)}")
    for key in tensor:
        values.one_of(key, TENSOR_KEYS, "input key")
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


def tensor_clips(tensor: Mapping[str, Any], rate: Any, settings: Settings) -> list[Clip]:
    """Return the clips of a tensor that passed `check_tensor`."""
    data = tensor.get("data")
    if not isinstance(data, list):
        raise MalformedRequest(f"data must be a list, not {values.kind(data)}")
    given = named(tensor.get("parameters"), ("sampling_rate", "content_type"))
    sizes = tuple(tensor["shape"])
    if tensor["datatype"] == "BYTES":
        return bytes_clips(sizes, data)
    return waveform_clips(sizes, data, given.get("sampling_rate", rate), settings)


def bytes_clips(sizes: tuple[int, ...], data: list[Any]) -> list[Clip]:
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


def waveform_clips(sizes: tuple[int, ...], data: list[Any], rate: Any, settings: Settings) -> list[Clip]:
    if rate is None:
        raise InvalidParameter("an FP32 input needs the parameter sampling_rate, in Hz")
    hertz = values.sampling_rate(rate, "sampling_rate")
    values.check_seconds(sizes[-1], hertz, settings)
    if len(sizes) == 3 and not 1 <= sizes[1] <= MAX_CHANNELS:
        raise MalformedRequest(f"the shape has {sizes[1]} channels; 1 to {MAX_CHANNELS} are accepted")
    rows = values.innermost(data, MAX_DIMENSIONS, "data")
    count = sum(map(len, rows))
    if count != math.prod(sizes):
        raise MalformedRequest(
            f"data has {count} numbers, but shape {list(sizes)} declares {math.prod(sizes)}"
        )
    array = values.numbers(rows, "data")
    return [RawAudio(samples, hertz) for samples in array.reshape(sizes if len(sizes) > 1 else (1, *sizes))]


def wanted_outputs(given: Any, settings: Settings) -> tuple[str, ...]:
    known = tuple(f"{head}.{name}" for head in settings.heads for name in OUTPUTS) or OUTPUTS
    if given is None or given == []:
        return known
    if not isinstance(given, list) or not all(isinstance(output, dict) for output in given):
        raise MalformedRequest("outputs must be a list of objects")
    names: list[str] = []
    for (
        output
    ) in given:  # a repeated one is rejected at once, so there are never more than there are known names
        name = values.one_of(output.get("name"), known, "output")
        if name in names:
            raise InvalidParameter(f"output {name} is requested twice; name it once")
        names.append(name)
    return tuple(names)
