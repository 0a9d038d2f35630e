"""Callers who ask for more than their part: one far beyond its share, and requests of many clips."""

from __future__ import annotations

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice

from measure.answer import parsed
from measure.chaos.load import EVERY_LABEL
from measure.chaos.scene import Scene
from measure.chaos.server import GREEDY_SHARE
from measure.chaos.verdict import Verdict, equal, error, judge, ranked
from measure.http import Reply

TIMES = 10  # what the greedy caller sends, of its share
SECONDS = 20.0  # of it
REQUESTS = 6  # of many clips
CLIPS = 64  # of each: the most that one may have


def greedy(scene: Scene) -> str:
    """One caller at ten times its share: answers, or 429 that says when to come again; nobody else is refused."""
    sender, clip = scene.server.sender(greedy=True), scene.load.clips[0]
    path, every = f"/predictions/{scene.load.model}", 1 / (TIMES * GREEDY_SHARE)
    count = round(SECONDS * scene.size.kills / 3 / every)
    with scene.same_workers(), ThreadPoolExecutor(2 * TIMES, thread_name_prefix="greedy") as pool:
        asked = []
        for _ in range(count):
            asked.append(pool.submit(sender.post, path, clip.content, EVERY_LABEL))
            time.sleep(every)
        replies = [each.result() for each in asked]
    refused = [reply for reply in replies if over_its_share(reply)]
    scene.extra += [
        Verdict.RIGHT if over_its_share(reply) else judge(reply, clip.expected) for reply in replies
    ]
    answered = len(replies) - len(refused)
    seconds = max(reply.sent for reply in replies) - min(reply.sent for reply in replies)
    most = GREEDY_SHARE * (seconds + 2)
    scene.expect(answered <= most, f"{answered} of the greedy caller's requests were answered, of {most:.0f}")
    return f"{count} requests at {TIMES} times the share: {answered} answered, {len(refused)} × 429"


def over_its_share(reply: Reply) -> bool:
    """Whether it is 429 in our shape, and says after how many seconds to come again."""
    found = error(reply.body)
    return (
        reply.status == 429
        and found is not None
        and found[0] == "rate_limited"
        and reply.headers.get("Retry-After", "").isdigit()
    )


def bulk(scene: Scene) -> str:
    """Requests of many clips, one after the other: each clip has its own right answer, and no other clip waits long."""
    sender, clips = scene.server.sender(), [*islice(cycle(scene.load.clips), CLIPS)]
    body = {"instances": [{"b64": base64.b64encode(clip.content).decode()} for clip in clips]}
    content = json.dumps(body | {"parameters": {"top_k": int(EVERY_LABEL["X-Top-K"])}}).encode()
    headers = {"Content-Type": "application/json"}
    path = f"/v1/models/{scene.load.model}:predict"
    with scene.same_workers():
        replies = [sender.post(path, content, headers) for _ in range(2 * scene.size.kills)]
    for reply in replies:
        found = parsed(reply.body)
        rows = found.get("predictions") if reply.status == 200 and isinstance(found, dict) else None
        right = isinstance(rows, list) and len(rows) == len(clips)
        right = right and all(
            equal(ranked(row), clip.expected) for row, clip in zip(rows or (), clips, strict=True)
        )
        scene.extra.append(Verdict.RIGHT if right else Verdict.LOST if reply.status == 0 else Verdict.WRONG)
        scene.expect(right, f"a request of {CLIPS} clips: {reply}")
    waits = [reply.finished - reply.sent for reply, _ in scene.load.replies]
    return (
        f"{len(replies)} requests of {CLIPS} clips; the longest wait of a clip beside them {max(waits):.1f} s"
    )
