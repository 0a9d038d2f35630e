"""Faults that callers make: hanging up in the middle, and bodies that are no proper request."""

from __future__ import annotations

import json
import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from measure.chaos.fuzz import Body, bodies
from measure.chaos.load import Sender
from measure.chaos.scene import Scene
from measure.chaos.verdict import Reply, Verdict, error
from serving.host.ports import LOOPBACK

FUZZERS = 8  # bodies at a time: a full batch
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST, as a crashed client's machine does
KEPT = 20  # bodies with a bad answer that are written to a file


def disconnect(scene: Scene) -> str:
    """Half hang up in the middle of their upload, half while they wait for their answer, each by FIN and by RST."""
    workers = scene.server.workers(scene.load.model)
    scene.strike()
    for number in range(scene.size.callers):
        hang_up(scene, upload=1.0 if number % 2 else scene.random.random(), reset=number % 4 < 2)
        time.sleep(scene.random.uniform(0, 0.05))  # spread over batches
    scene.recover()
    scene.expect(scene.server.workers(scene.load.model) == workers, "a worker was restarted")
    half = scene.size.callers // 2
    return f"{scene.size.callers - half} callers hung up mid-upload, {half} mid-wait"


def hang_up(scene: Scene, upload: float, reset: bool) -> None:
    """One caller who sends this share of a clip and is gone."""
    host = urlsplit(scene.server.url).netloc
    content = scene.random.choice(scene.load.clips).content
    head = (
        f"POST /predictions/{scene.load.model} HTTP/1.1\r\nHost: {host}\r\n"
        f"Content-Type: application/octet-stream\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    with socket.create_connection((LOOPBACK, scene.server.port), timeout=10) as caller:
        caller.sendall(head.encode() + content[: int(upload * len(content))])
        if reset:
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def fuzz(scene: Scene) -> str:
    """Seeded bodies of every kind: each gets a valid answer or an error of the 4xx, and no worker minds."""
    workers = scene.server.workers(scene.load.model)
    made = bodies(scene.load.model, scene.size.bodies, scene.seed)
    sender = Sender(scene.server.url)
    scene.strike()
    with ThreadPoolExecutor(FUZZERS, thread_name_prefix="fuzz") as pool:
        replies = list(pool.map(lambda body: sender.post(body.path, body.content, body.headers), made))
    scene.recover()
    scene.expect(scene.server.workers(scene.load.model) == workers, "a worker was restarted")
    bad = [(body, reply) for body, reply in zip(made, replies, strict=True) if not proper(reply)]
    scene.extra += [fuzz_verdict(reply) for reply in replies]
    for body, reply in bad[:KEPT]:
        keep(scene, body, reply)
    answered = sum(reply.status == 200 for reply in replies)
    kinds = len({body.kind for body in made})
    return f"{len(made)} bodies of {kinds} kinds, seed {scene.seed}: {answered} valid, the rest 4xx"


def proper(reply: Reply) -> bool:
    """A success, or an error of the 4xx in our shape."""
    return fuzz_verdict(reply) is Verdict.RIGHT


def fuzz_verdict(reply: Reply) -> Verdict:
    if reply.status == 0:
        return Verdict.LOST
    if reply.status == 200:
        return Verdict.RIGHT if is_json(reply.body) else Verdict.WRONG
    return Verdict.RIGHT if 400 <= reply.status < 500 and error(reply.body) else Verdict.WRONG


def is_json(body: bytes) -> bool:
    """Whether a success holds an answer of one of the three forms."""
    try:
        content = json.loads(body)
    except ValueError:
        return False
    return isinstance(content, list) or bool({"predictions", "outputs"} & set(content))


def keep(scene: Scene, body: Body, reply: Reply) -> None:
    """Write a body with a bad answer beside the report, and say what came of it."""
    scene.out.mkdir(parents=True, exist_ok=True)
    file = scene.out / f"chaos-fuzz-{body.number}.bin"
    file.write_bytes(body.content)
    said = reply.failure or reply.body[:200].decode("utf-8", "replace")
    scene.broken.append(
        f"{body.kind}, {file.name} to {body.path} {dict(body.headers)}: {reply.status} {said}"
    )
