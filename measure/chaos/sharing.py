"""Callers who ask for more than others: one far beyond its share, requests of many clips, and a long recording."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import math
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice

import numpy as np
import soundfile

from measure import workload
from measure.answer import parsed
from measure.chaos.load import EVERY_LABEL
from measure.chaos.scene import RECOVERY_SECONDS, Scene
from measure.chaos.server import GREEDY_SHARE
from measure.chaos.verdict import Verdict, equal, error, judge, ranked
from measure.http import Reply
from serving.host import local_http
from serving.host.polling import wait_until
from serving.recordings.process import SplitterProcess

TIMES = 10  # what the greedy caller sends, of its share
SECONDS = 20.0  # of it
REQUESTS = 6  # of many clips
CLIPS = 64  # of each: the most that one may have
RECORDING_SECONDS = 3600.0
WINDOW = 3  # s


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
    with scene.same_workers():
        replies = [Many(scene).post() for _ in range(2 * scene.size.kills)]
    waits = [reply.finished - reply.sent for reply, _ in scene.load.replies]
    return (
        f"{len(replies)} requests of {CLIPS} clips; the longest wait of a clip beside them {max(waits):.1f} s"
    )


def kill_splitter(scene: Scene) -> str:
    """SIGKILL to the splitter while it has a request of many clips: the gateway sends that again, to the next one."""
    gateway = scene.server.service.gateway
    with scene.same_workers(), ThreadPoolExecutor(1) as pool:
        splitter = gateway.splitter
        assert splitter is not None
        for _ in range(scene.size.kills):
            wait_until(splitter.configuration.listen.exists, RECOVERY_SECONDS)
            asked, pid = pool.submit(Many(scene).post), splitter.pid
            scene.expect(
                wait_until(lambda: counted(splitter) > 0, RECOVERY_SECONDS), "the splitter got no request"
            )
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            asked.result()
            scene.expect(splitter.pid != pid, "the splitter was not restarted")
    return f"{scene.size.kills} × SIGKILL"


def counted(splitter: SplitterProcess) -> int:
    """Groups that the splitter has in flight; 0 while it does not answer."""
    with contextlib.suppress(*local_http.FAULTS, ValueError):
        return splitter.counts()["in_flight"]
    return 0


def recording(scene: Scene) -> str:
    """A long recording in windows: all of them are answered, and no other clip waits long."""
    blocks = [soundfile.read(io.BytesIO(clip.content), dtype="float32") for clip in scene.load.clips]
    rate = blocks[0][1]
    joined = np.concatenate([samples for samples, _ in blocks])
    seconds = RECORDING_SECONDS * scene.size.kills / 3
    body = workload.wav(workload.lasting(joined, seconds, rate), rate)
    with scene.same_workers():
        sender, path = scene.server.sender(), f"/predictions/{scene.load.model}"
        reply = sender.post(path, body, {"X-Windows": str(WINDOW), "X-Top-K": "1"})
    found = parsed(reply.body)
    windows = found.get("windows") if reply.status == 200 and isinstance(found, dict) else None
    right = isinstance(windows, list) and len(windows) == math.ceil(seconds / WINDOW)
    scene.extra.append(Verdict.RIGHT if right else Verdict.LOST if reply.status == 0 else Verdict.WRONG)
    scene.expect(right, f"a recording of {seconds:.0f} s: {reply}")
    waits = [each.finished - each.sent for each, _ in scene.load.replies]
    took = reply.finished - reply.sent
    return (
        f"{seconds:.0f} s of audio in {took:.0f} s; the longest wait of a clip beside it {max(waits):.1f} s"
    )


class Many:
    """A request of CLIPS clips, all of them known."""

    def __init__(self, scene: Scene) -> None:
        self.scene, self.clips = scene, [*islice(cycle(scene.load.clips), CLIPS)]

    def post(self) -> Reply:
        """Send it, and judge its answer."""
        scene = self.scene
        body = {"instances": [{"b64": base64.b64encode(clip.content).decode()} for clip in self.clips]}
        content = json.dumps(body | {"parameters": {"top_k": int(EVERY_LABEL["X-Top-K"])}}).encode()
        path = f"/v1/models/{scene.load.model}:predict"
        reply = scene.server.sender().post(path, content, {"Content-Type": "application/json"})
        found = parsed(reply.body)
        rows = found.get("predictions") if reply.status == 200 and isinstance(found, dict) else None
        right = isinstance(rows, list) and len(rows) == len(self.clips)
        right = right and all(
            equal(ranked(row), clip.expected) for row, clip in zip(rows or (), self.clips, strict=True)
        )
        scene.extra.append(Verdict.RIGHT if right else Verdict.LOST if reply.status == 0 else Verdict.WRONG)
        scene.expect(right, f"a request of {CLIPS} clips: {reply}")
        return reply
