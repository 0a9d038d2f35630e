"""The agreement check: before it gets callers, a new version must answer clips as the old version does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from bundle import BundleError
from bundle.samples import recordings, samples
from serving.control import Control
from serving.host import local_http
from serving.host.local_http import Answer
from serving.host.polling import wait_until

CLIP_SECONDS = 120.0  # for one answer, under load
FULL_SECONDS, RETRY_SECONDS = 20.0, 1.0  # for which a full queue is retried; between two tries
SHOWN = 5


@dataclass(frozen=True)
class Clip:
    """A recording, and its speaker if known."""

    path: Path
    speaker: str | None = None


Labels = tuple[str, ...]  # the best of every head


def clips(folder: Path | None) -> list[Clip]:
    """The recordings of a folder SPEAKER/clip; without a folder the demo's samples, unlabelled.

    Raises:
        BundleError: there are none, or they are not in folders of speakers.
    """
    if folder is None:
        return [Clip(sample.path) for sample in samples()]
    if not folder.is_dir():
        raise BundleError(f"DATA={folder} is not a folder")
    found = recordings("DATA", folder)
    if any(path.parent == folder for path in found):
        raise BundleError(
            f"DATA={folder} holds clips outside a speaker's folder: lay them out as SPEAKER/clip.wav"
        )
    return [Clip(path, path.relative_to(folder).parts[0]) for path in found]


def answers(control: Control, model: str, version: str, asked: Sequence[Clip]) -> list[Labels]:
    """What one version answers to every clip.

    Raises:
        BundleError: it rejects a clip, or does not answer.
    """
    # one at a time, because callers wait for the same workers
    return [best(json.loads(ask(control, model, version, clip).body)) for clip in asked]


def answering_version(control: Control, model: str, clip: Clip) -> str:
    """The version that answers a request without one."""
    return ask(control, model, None, clip).headers["x-model-version"]


def ask(control: Control, model: str, version: str | None, clip: Clip) -> Answer:
    """One clip's answer; retries while the queue is full.

    Raises:
        BundleError: the status is not 200.
    """
    body = clip.path.read_bytes()
    answer: Answer | None = None

    def queued() -> bool:
        nonlocal answer
        answer = control.answer(model, version, body, CLIP_SECONDS)
        return answer.status != HTTPStatus.SERVICE_UNAVAILABLE

    try:
        wait_until(queued, FULL_SECONDS, RETRY_SECONDS)
    except local_http.FAULTS as exc:
        raise BundleError(f"{clip.path.name} is not answered: {type(exc).__name__}") from exc
    assert answer is not None
    if answer.status != 200:
        raise BundleError(f"{clip.path.name} is answered with {answer.status}: {answer.text[:200]}")
    return answer


def best(answer: Any) -> Labels:
    """The best label of a ranking, or of each of several heads."""
    rankings = answer.values() if isinstance(answer, dict) else [answer]
    return tuple(ranking[0]["label"] for ranking in rankings)


def judge(asked: Sequence[Clip], before: Sequence[Labels], after: Sequence[Labels], least: float) -> str:
    """The verdict if the new version may serve.

    If the speakers are known, it must be right at least as often as the old version; otherwise it must give the old
    version's best label on a share of the clips.

    Args:
        asked: the clips.
        before, after: the old and the new version's answers to them.
        least: that share, 0 to 1.

    Raises:
        BundleError: it may not; the message names clips that changed.
    """
    if asked[0].speaker is not None:
        old = sum(clip.speaker in answer for clip, answer in zip(asked, before, strict=True))
        new = sum(clip.speaker in answer for clip, answer in zip(asked, after, strict=True))
        verdict = f"right on {new} of {len(asked)} clips, the old version on {old}"
        if new < old:
            raise BundleError(f"the new version is {verdict}")
        return f"the new version is {verdict}"
    triples = zip(asked, before, after, strict=True)
    changed = [(clip, old, new) for clip, old, new in triples if old != new]
    agreement = 1 - len(changed) / len(asked)
    verdict = f"agree on {len(asked) - len(changed)} of {len(asked)} clips"
    if agreement < least:
        shown = "; ".join(
            f"{clip.path.name} {'/'.join(old)} → {'/'.join(new)}" for clip, old, new in changed[:SHOWN]
        )
        raise BundleError(f"old and new version {verdict}, fewer than the required {least:.1%}: {shown}")
    return f"old and new version {verdict}"
