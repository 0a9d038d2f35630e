"""The page at `/` on which a voice is tried, what it shows of the models served, and their sample voices.

The page holds nothing of what is served, so that it can be answered without a token; it asks for the rest with one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from bundle import BundleError, samples, shipped
from bundle.samples import Sample
from bundle.sources import MODELS
from bundle.spec import ModelSpec
from serving.gateway.options import GatewayOptions
from serving.gateway.static import ABOUT, PAGE, SAMPLES, StaticFile, source_hash

SOURCE = Path(__file__).resolve().parent
# in the order in which they are read
SCRIPTS = ("state", "words", "served", "asking", "answer", "player", "microphone")
MOST_SAMPLES = 12  # voices that are offered of one model
LARGEST_SAMPLE = 1 << 20  # bytes of one: Envoy holds them in memory
SERVABLE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*\.(flac|wav|mp3|ogg)")  # what every browser plays

HEADERS = {
    "vary": "Accept",  # the same address answers KServe's clients with JSON
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "permissions-policy": "microphone=(self), camera=(), geolocation=()",
}


def files(specs: Sequence[ModelSpec], options: GatewayOptions) -> tuple[StaticFile, ...]:
    """All that the page needs of the gateway; nothing where the page is off."""
    if not options.page:
        return ()
    clips = {spec.name: _clips(spec) for spec in specs}
    about = {
        "max_request_bytes": shipped.shipped("max_request_size"),
        "models": [_about(spec, clips[spec.name]) for spec in specs],
    }
    body = json.dumps(about, ensure_ascii=False).encode()
    return (
        StaticFile(
            PAGE, "text/html; charset=utf-8", html(), True, HEADERS | {"content-security-policy": policy()}
        ),
        StaticFile(ABOUT, "application/json", body),
        *(
            StaticFile(path_of(name, clip), f"audio/{clip.path.suffix[1:]}", clip.path.read_bytes())
            for name, each in clips.items()
            for clip in each
        ),
    )


@cache
def html() -> bytes:
    """One file: index.html with the style and the scripts in their places."""
    page = (SOURCE / "index.html").read_text("utf-8")
    for tag, text in _inline().items():
        page = page.replace(f"<{tag}></{tag}>", f"<{tag}>{text}</{tag}>")
    return page.encode()


@cache
def policy() -> str:
    """Its Content-Security-Policy: nothing of another host, and no script or style except these two."""
    hashes = {tag: source_hash(text) for tag, text in _inline().items()}
    return (
        f"default-src 'self'; script-src {hashes['script']}; style-src {hashes['style']}; "
        "img-src 'self' data:; media-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


def _inline() -> dict[str, str]:
    return {
        "style": (SOURCE / "style.css").read_text("utf-8"),
        "script": "\n".join((SOURCE / f"{name}.js").read_text("utf-8") for name in SCRIPTS),
    }


def path_of(model: str, clip: Sample) -> str:
    """Where a sample clip is served."""
    return f"{SAMPLES}/{model}/{clip.path.name}"


def _about(spec: ModelSpec, clips: Sequence[Sample]) -> dict[str, object]:
    return {
        "name": spec.name,
        "demo": spec.demo,
        "unknown": bool(spec.speaker_id.open_sets),
        "description": spec.description,
        "licence": spec.licence,
        "max_clip_seconds": spec.speaker_id.max_clip_seconds,
        "samples": [
            {"path": path_of(spec.name, clip), "speaker": clip.speaker, "seconds": clip.seconds}
            for clip in clips
        ],
    }


def _clips(spec: ModelSpec) -> list[Sample]:
    """The first clip of each of a model's speakers, and a stranger's where it may answer "unknown"."""
    voices = _manifest(spec, samples.FOLDER.name)[:MOST_SAMPLES]
    return voices + (_manifest(spec, samples.STRANGERS.name)[:1] if spec.speaker_id.open_sets else [])


def _manifest(spec: ModelSpec, folder: str) -> list[Sample]:
    """The first clip of each speaker that a folder beside the model lists; none where there is no manifest."""
    try:
        return list(_first_of_each(samples.samples((spec.folder or MODELS / spec.name) / folder)))
    except BundleError:
        return []


def _first_of_each(clips: Sequence[Sample]) -> Iterator[Sample]:
    seen: set[str] = set()
    for clip in clips:
        servable = SERVABLE.fullmatch(clip.path.name) and clip.path.stat().st_size <= LARGEST_SAMPLE
        if servable and clip.speaker not in seen:
            seen.add(clip.speaker)
            yield clip
