"""Malformed bodies, and unusual valid ones: seeded, so that one that did harm can be made again.

python -m measure.chaos.fuzz --number 17 > body      the 18th body of `make chaos`
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from measure.chaos import documents, mutations
from measure.chaos.archives import DEMO

OCTETS = "application/octet-stream"
JSON = "application/json"
AUDIO = tuple(f"audio/{kind}" for kind in ("wav", "flac", "ogg", "mpeg"))
TYPES = (OCTETS, *AUDIO, JSON, "text/plain", "text/plain; charset=x")
OPTIONS = ("0", "-1", "1e9", "9" * 20, "NaN", "three", "", "5", "٣", "0x10", "true", "[1]", "a" * 5000)
BOUNDARY = "frontier"


@dataclass(frozen=True)
class Body:
    """One request. `kind` names what is wrong with it, `number` its place in the run."""

    number: int
    kind: str
    path: str
    content: bytes
    headers: Mapping[str, str]


def bodies(model: str, count: int, seed: int) -> list[Body]:
    """So many bodies, every kind equally often; equal seeds give equal bodies, except for Ogg's serial numbers."""
    kinds = list(KINDS)
    return [body(model, kinds[number % len(kinds)], number, seed) for number in range(count)]


def body(model: str, kind: str, number: int, seed: int) -> Body:
    """One body, which depends on its kind, its number and the seed alone."""
    draw = random.Random(f"{seed} {number}")  # noqa: S311  # bodies, no secret
    content, headers, path = KINDS[kind](draw)
    return Body(number, kind, path.format(model), content, headers)


PATHS = ("/predictions/{}", "/v1/models/{}:predict", "/v2/models/{}/infer")
Made = tuple[bytes, dict[str, str], str]  # content, headers, one of the paths


def audio(make: Callable[[random.Random], bytes]) -> Callable[[random.Random], Made]:
    """Bytes that pass for audio, under any content type."""

    def made(draw: random.Random) -> Made:
        kind = OCTETS if draw.random() < 0.7 else draw.choice(TYPES)
        return make(draw), {"Content-Type": kind}, PATHS[0]

    return made


def document(make: Callable[[random.Random], bytes]) -> Callable[[random.Random], Made]:
    """JSON or nearly so, at one of the three paths, as JSON or as bytes."""

    def made(draw: random.Random) -> Made:
        kind = JSON if draw.random() < 0.7 else draw.choice(TYPES)
        return make(draw), {"Content-Type": kind}, draw.choice(PATHS)

    return made


def options(draw: random.Random) -> Made:
    """A whole clip with an invalid option."""
    header = draw.choice(("X-Top-K", "X-Function-To-Apply"))
    value = draw.choice([text for text in OPTIONS if text.isascii()])
    return mutations.clip(draw), {"Content-Type": OCTETS, header: value}, PATHS[0]


def form(draw: random.Random) -> Made:
    """A multipart form that is damaged, or has unknown parts."""
    part = draw.choice(("data", "file", "audio", "body", "clip", "top_k", 'a"; x="', ""))
    lines = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{part}"; filename="c.wav"\r\n\r\n'.encode()
    )
    end = f'\r\n--{BOUNDARY}\r\nContent-Disposition: form-data; name="top_k"\r\n\r\n{draw.choice(OPTIONS)}'
    whole = lines + mutations.clip(draw) + f"{end}\r\n--{BOUNDARY}--\r\n".encode()
    if draw.random() < 0.5:
        whole = whole[: draw.randrange(len(whole))]
    boundary = draw.choice((BOUNDARY, BOUNDARY, "other", "x" * 500))
    return whole, {"Content-Type": f"multipart/form-data; boundary={boundary}"}, PATHS[0]


def compressed(draw: random.Random) -> Made:
    """A body that says it is compressed, and is: a bomb, a clip, or broken in the middle."""
    how, content = mutations.compressed(draw)
    kind = draw.choice((OCTETS, JSON))
    return content, {"Content-Type": kind, "Content-Encoding": draw.choice((how, how, "br", "x"))}, PATHS[0]


def binary_tensors(draw: random.Random) -> Made:
    """JSON and bytes after it, with the header that divides them; at times without it."""
    content, length = documents.binary_tensors(draw)
    headers = {"Inference-Header-Content-Length": length} if draw.random() < 0.9 else {}
    return content, {"Content-Type": OCTETS, **headers}, PATHS[2]


KINDS: dict[str, Callable[[random.Random], Made]] = {
    "truncated audio": audio(mutations.truncated),
    "bit-flipped audio": audio(mutations.flipped),
    "overwritten header": audio(mutations.overwritten),
    "spliced audio": audio(mutations.spliced),
    "random bytes": audio(mutations.noise),
    "bomb": audio(mutations.bomb),
    "compressed body": compressed,
    "damaged form": form,
    "invalid option": options,
    "wrong base64": document(documents.base64_text),
    "deep JSON": document(documents.deep),
    "broken JSON": document(documents.broken),
    "NaN array": document(documents.not_numbers),
    "long shape": document(documents.shapes),
    "excess in JSON": document(documents.excess),
    "unlikely JSON": document(documents.unlikely),
    "damaged clip in JSON": document(documents.damaged_clip),
    "binary tensors": binary_tensors,
}


def main() -> int:
    parser = argparse.ArgumentParser(
        "python -m measure.chaos.fuzz", description="Write one body to standard output."
    )
    parser.add_argument("--number", type=int, required=True, help="its place in the run, from 0")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    kind = list(KINDS)[args.number % len(KINDS)]
    made = body(DEMO, kind, args.number, args.seed)
    print(f"{made.kind}, to {made.path} with {dict(made.headers)}", file=sys.stderr)
    sys.stdout.buffer.write(made.content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
