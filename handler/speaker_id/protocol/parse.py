"""A caller's payload → `Request`. Every body either parses or raises a `RequestError`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

from speaker_id.clip import Clip, EncodedAudio
from speaker_id.errors import EMPTY_BODY, InvalidParameter, MalformedRequest, RequestError, RequestTooLarge
from speaker_id.protocol import binary, coding, form, json_body, message, open_inference, values
from speaker_id.protocol.heads import chosen
from speaker_id.protocol.open_inference import parse_v2, raw_v2
from speaker_id.protocol.request import Bytes, Form, Options, Payload, Request
from speaker_id.protocol.tensors import parse_tensors
from speaker_id.settings import MAX_FIELDS, Settings

AUDIO_PARTS = ("body", "data", "file", "audio")
INFERENCE_API_KEYS = ("inputs", "parameters", "options")
V1_KEYS = ("instances", "parameters", "signature_name")
HEADERS = {f"x-{name.replace('_', '-')}": name for name in values.OPTION_NAMES}


def parse(payload: Payload, settings: Settings) -> Request:
    """Parse one caller's payload. Its content decides which form it has, never its content type.

    An option may be given in the body, the path, a header or the query; the first of these applies.

    Raises:
        RequestError: MalformedRequest, InvalidParameter, AudioTooLong, RequestTooLarge, or UnsupportedMedia.
    """
    if payload.tensors is not None:
        given = (header_options(payload.headers), query_options(payload.query))
        return parse_tensors(payload.tensors, settings, given)
    parts = dict(payload.parts)
    if "body" in parts:
        parts["body"] = coding.plain(parts["body"], payload.headers)
    if payload.form == message.FORM:
        document, tensors = message.read_message(parts["body"], settings)
        asked = parse_v2(
            document, settings, (header_options(payload.headers),), tensors, open_inference.PARAMETERS
        )
        return replace(asked, form="grpc")
    content, fields = split(form.parts(parts["body"], payload.form) if payload.form else parts)
    outside = (values.options(fields, "part"), *options_beside(payload))
    if not content:
        raise MalformedRequest(f"{EMPTY_BODY}, or JSON")
    content, tail = binary.split(content, payload.headers)
    if tail and not content:
        return raw_v2(tail, settings, outside)
    if not json_body.is_json(content):
        if tail:
            raise MalformedRequest(
                "Inference-Header-Content-Length is given, but the body does not begin with JSON"
            )
        return request("ranking", (EncodedAudio(content),), values.first(*outside), settings)
    try:
        value = json_body.load(content, settings)
    except MalformedRequest as exc:
        if tail is None and b'"binary_data_size"' in content:
            raise MalformedRequest(
                f"{exc.message}; binary tensors need the header Inference-Header-Content-Length, the length of the "
                "JSON in bytes"
            ) from exc
        raise
    return parse_json(value, settings, outside, tail)


def parse_json(
    value: Any, settings: Settings, outside: tuple[Options, ...], tail: binary.Tail | None
) -> Request:
    """Parse the value of a JSON body.

    Args:
        value: as `json_body.load` returns it.
        settings: limits.
        outside: options that were given elsewhere than in the JSON.
        tail: the bytes after the JSON; None where the request declares none.
    """
    if not isinstance(value, dict):
        raise MalformedRequest(f"the JSON body must be an object, not {values.kind(value)}")
    if "instances" not in value and isinstance(value.get("inputs"), list):
        return parse_v2(value, settings, outside, tail)
    if tail:
        raise MalformedRequest(
            "Inference-Header-Content-Length is given, but the JSON has no list of input tensors"
        )
    if "instances" in value:
        return parse_v1(value, settings, outside)
    return parse_inference_api(value, settings, outside)


def split(parts: Mapping[str, Bytes]) -> tuple[Bytes, dict[str, Bytes]]:
    """Return the one part that contains the audio or JSON, and the other parts by name."""
    names = [name for name in parts if name in AUDIO_PARTS]
    if not names:
        raise MalformedRequest(f"the form has no audio part: name it one of {', '.join(AUDIO_PARTS[1:])}")
    if len(names) > 1:
        raise MalformedRequest(f"send one audio part, not {len(names)}: {', '.join(names)}")
    return parts[names[0]], {name: value for name, value in parts.items() if name != names[0]}


def options_beside(payload: Payload) -> tuple[Options, ...]:
    """Parse the options that are given beside the body."""
    return path_options(payload.path), header_options(payload.headers), query_options(payload.query)


def path_options(path: str) -> Options:
    """Parse `top_k/3/function_to_apply/none`, the end of the URL's path."""
    steps = [step for step in path.split("/") if step]
    if len(steps) % 2:
        raise InvalidParameter(
            f"the path's options must come in pairs of name and value: {values.shown(path)}"
        )
    given = dict(zip(steps[::2], steps[1::2], strict=True))
    if 2 * len(given) < len(steps):
        raise InvalidParameter(f"the path gives an option twice: {values.shown(path)}")
    return values.options(given, "path option")


def header_options(headers: Mapping[str, str]) -> Options:
    given = {HEADERS[name]: value for name, value in headers.items() if name in HEADERS}
    return values.options(given, "header")


def query_options(query: str) -> Options:
    """Parse `top_k=3&function_to_apply=none`, the URL's query."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as exc:
        raise InvalidParameter(f"the query has more than {MAX_FIELDS} parameters") from exc
    given = dict(pairs)
    if len(given) < len(pairs):
        raise InvalidParameter(f"the query gives an option twice: {values.shown(query)}")
    return values.options(given, "query parameter", values.WINDOWS)


def parameters(document: Mapping[str, Any]) -> dict[str, Any]:
    given = document.get("parameters")
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise MalformedRequest(f"parameters must be an object, not {values.kind(given)}")
    return given


def request(form: Form, clips: tuple[Clip, ...], options: Options, settings: Settings) -> Request:
    return Request(form, clips, options, heads=chosen(options, settings.output_heads))


def parse_inference_api(
    document: Mapping[str, Any], settings: Settings, outside: tuple[Options, ...]
) -> Request:
    """Parse the form of Hugging Face's inference API: `{"inputs": "<base64>", "parameters": {…}, "options": {…}}`.

    The options (use_cache, wait_for_model) concern Hugging Face's own servers: accepted and ignored.
    """
    for key in document:
        values.one_of(key, (*INFERENCE_API_KEYS, "instances"), "key")
    if not isinstance(document.get("options"), (dict, type(None))):
        raise MalformedRequest(f"options must be an object, not {values.kind(document['options'])}")
    if "inputs" not in document:
        raise MalformedRequest('the JSON body needs "inputs" (base64 or tensors) or "instances"')
    clip = values.encoded_audio(document["inputs"], "inputs")
    options = values.first(values.options(parameters(document), "parameter", values.INSIDE), *outside)
    return request("ranking", (clip,), options, settings)


def parse_v1(document: Mapping[str, Any], settings: Settings, outside: tuple[Options, ...]) -> Request:
    """KServe v1: `{"instances": [{"b64": …} or {"array": […], "sampling_rate": …}, …], "parameters": {…}}`.

    `data` is another name for `b64`, as in TorchServe's own examples.
    """
    for key in document:
        values.one_of(key, V1_KEYS, "key")
    instances = document["instances"]
    if not isinstance(instances, list):
        raise MalformedRequest(f"instances must be a list, not {values.kind(instances)}")
    if len(instances) > settings.max_request_clips:
        raise RequestTooLarge(
            f"the request has {len(instances)} instances; at most {settings.max_request_clips} are accepted"
        )
    clips = []
    for index, instance in enumerate(instances):
        try:
            clips.append(v1_clip(instance, settings))
        except RequestError as error:
            error.instance = index
            raise
    options = values.first(values.options(parameters(document), "parameter", values.INSIDE), *outside)
    return request("v1", tuple(clips), options, settings)


def v1_clip(instance: Any, settings: Settings) -> Clip:
    for name in ("b64", "data"):
        if isinstance(instance, dict) and set(instance) == {name}:
            return values.encoded_audio(instance[name], name)
    if isinstance(instance, dict) and "array" in instance and set(instance) <= {"array", "sampling_rate"}:
        return values.raw_audio(instance["array"], instance.get("sampling_rate"), settings, "array")
    raise MalformedRequest(
        'an instance must be {"b64": …}, {"data": …}, or {"array": […], "sampling_rate": …}'
    )
