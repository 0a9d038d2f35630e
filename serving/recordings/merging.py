"""The groups' answers → one answer in the caller's form, byte for byte what one worker answers to the whole request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from speaker_id.protocol import EMBEDDING, Request
from speaker_id.protocol.render import Answer

from serving.recordings.tensors import SIZE, Part
from serving.recordings.upstream import SECONDS

TOTALS = {SECONDS: 3, "x-audio-skipped-frames": 0}  # headers that are added up, and their decimals
COPIED = ("x-model-name", "x-model-version")


def merged(request: Request, parts: Sequence[Part]) -> Answer:
    """Join the answers of a request's groups, which are in order and of one version."""
    if request.form == "v1":
        return Answer({"predictions": [each for part in parts for each in predictions(request, part)]})
    document = dict(parts[0].document)
    outputs, tail = [], bytearray()
    tails = [_tensors(part) for part in parts]
    for number, first in enumerate(document["outputs"]):
        found = [part.document["outputs"][number] for part in parts]
        joined = dict(first)
        joined["shape"] = [sum(each["shape"][0] for each in found), *first["shape"][1:]]
        if "data" in first:
            joined["data"] = [value for each in found for value in each["data"]]
        else:
            content = b"".join(each[number] for each in tails)
            joined["parameters"] = {**first["parameters"], SIZE: len(content)}
            tail += content
        outputs.append(joined)
    document["outputs"] = outputs
    binary = any(output.binary for output in request.outputs)
    return Answer(document, bytes(tail) if binary else None)


def _tensors(part: Part) -> dict[int, bytes]:
    """Return the bytes of each binary output by its number."""
    found, at = {}, 0
    for number, output in enumerate(part.document["outputs"]):
        if (size := output.get("parameters", {}).get(SIZE)) is not None:
            found[number] = part.tail[at : at + size]
            at += size
    return found


def predictions(request: Request, part: Part) -> Iterator[Any]:
    """Yield what v1 answers for each clip of a group: a ranking, one for each head, or an embedding."""
    outputs = {output["name"]: output for output in part.document["outputs"]}
    if request.embeds:
        named = outputs[EMBEDDING]
        for row in _rows(named):
            yield {**named["parameters"], EMBEDDING: row}
        return
    heads = [list(_rankings(outputs, head)) for head in request.heads]
    for found in zip(*heads, strict=True):
        yield found[0] if request.heads == ("",) else dict(zip(request.heads, found, strict=True))


def _rankings(outputs: Mapping[str, Any], head: str) -> Iterator[list[dict[str, Any]]]:
    labels, scores = (outputs[f"{head}.{field}" if head else field] for field in ("label", "score"))
    for row in zip(_rows(labels), _rows(scores), strict=True):
        yield [{"label": label, "score": score} for label, score in zip(*row, strict=True)]


def _rows(output: Mapping[str, Any]) -> Iterator[list[Any]]:
    count, width = output["shape"]
    for start in range(0, count * width, width):
        yield output["data"][start : start + width]


def headers(answers: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return the headers of the whole: seconds and frames are added up, and so are the stages of Server-Timing.

    Args:
        answers: headers of the groups' answers, at least one.
    """
    found = {name: answers[0][name] for name in COPIED if name in answers[0]}
    for name, decimals in TOTALS.items():
        found[name] = f"{sum(float(each.get(name, 0)) for each in answers):.{decimals}f}"
    found["x-batch-size"] = str(max(int(each.get("x-batch-size", 1)) for each in answers))
    stages: dict[str, float] = {}
    for each in answers:
        for entry in filter(None, each.get("server-timing", "").split(", ")):
            stage, _, milliseconds = entry.partition(";dur=")
            stages[stage] = stages.get(stage, 0.0) + float(milliseconds)
    if stages:
        found["server-timing"] = ", ".join(f"{stage};dur={value:.1f}" for stage, value in stages.items())
    return found
