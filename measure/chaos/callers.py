"""Faults caused by callers: closed connections, malformed bodies, and bodies that harm a decoder."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from speaker_id.protocol.binary import HEADER

from measure.answer import parsed
from measure.cancellation.storm import storm
from measure.chaos.attacks import attacks
from measure.chaos.fuzz import OCTETS, Body, bodies
from measure.chaos.scene import Scene
from measure.chaos.verdict import Verdict, error
from measure.http import Reply
from serving.host.ports import LOOPBACK

AT_ONCE = 8  # bodies: a full batch
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST, as a crashed client's machine does
KEPT = 20  # bodies with a bad answer that are written to a file
ATTACK_BYTES = 1 << 16  # of one body
STORM_EVERY, STORM_PATIENCE = 2.0, 0.05  # s from one time to the next; until a caller hangs up


def disconnect(scene: Scene) -> str:
    """Callers close the connection, half in the middle of their upload and half while they wait, by FIN and by RST."""
    with scene.same_workers():
        for number in range(scene.size.callers):
            hang_up(scene, upload=1.0 if number % 2 else scene.random.random(), reset=number % 4 < 2)
            time.sleep(scene.random.uniform(0, 0.05))  # spread over batches
    half = scene.size.callers // 2
    return f"{scene.size.callers - half} callers hung up mid-upload, {half} mid-wait"


def hang_up(scene: Scene, upload: float, reset: bool) -> None:
    """One caller who sends this share of a clip and closes the connection."""
    host = urlsplit(scene.server.url).netloc
    content = scene.random.choice(scene.load.clips).content
    head = (
        f"POST /predictions/{scene.load.model} HTTP/1.1\r\nHost: {host}\r\n"
        f"Authorization: Bearer {scene.server.token}\r\n"
        f"Content-Type: application/octet-stream\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    with socket.create_connection((LOOPBACK, scene.server.port), timeout=10) as caller:
        caller.sendall(head.encode() + content[: int(upload * len(content))])
        if reset:
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def hang_up_at_once(scene: Scene) -> str:
    """Again and again more callers at once than the queue holds batches of, which all hang up after 50 ms."""
    path, bodies = f"/predictions/{scene.load.model}", [clip.content for clip in scene.load.clips]
    most = scene.size.callers // 2
    with (
        scene.same_workers(),
        storm(
            scene.server.port, path, bodies, most, STORM_EVERY, STORM_PATIENCE, scene.server.token
        ) as found,
    ):
        time.sleep(STORM_EVERY * (scene.size.bursts + 0.5))
    hung, answered = len(found.hung_up), len(found.answered)
    scene.expect(hung > 0, "no caller hung up: all were answered before, or refused")
    return f"{hung} of {hung + answered} callers hung up, {most} at once every {STORM_EVERY:g} s"


def fuzz(scene: Scene) -> str:
    """Seeded bodies of every kind: each gets a valid answer or an error of the 4xx, and no worker is restarted."""
    made = bodies(scene.load.model, scene.size.bodies, scene.seed)
    answered = post(scene, "fuzz", made)
    kinds = len({body.kind for body in made})
    return f"{len(made)} bodies of {kinds} kinds, seed {scene.seed}: {answered} valid, the rest 4xx"


def hostile_clips(scene: Scene) -> str:
    """Every attack that is known, small: each gets an answer or an error of the 4xx, and no worker is restarted."""
    chosen = [attack for attack in attacks() if not attack.honest][:: scene.size.every]
    path, headers = f"/predictions/{scene.load.model}", {"Content-Type": OCTETS}
    made = [
        Body(number, attack.name, path, attack.build(ATTACK_BYTES), headers)
        for number, attack in enumerate(chosen)
    ]
    answered = post(scene, "hostile", made)
    return f"{len(made)} bodies made to harm decoders: {answered} valid, the rest 4xx"


def post(scene: Scene, what: str, made: Sequence[Body]) -> int:
    """Posts a few at once and judges the answers; gives how many were a success.

    Bodies with a bad answer are kept beside the report.
    """
    sender = scene.server.sender()
    with scene.same_workers(), ThreadPoolExecutor(AT_ONCE, thread_name_prefix=what) as pool:
        replies = list(pool.map(lambda body: sender.post(body.path, body.content, body.headers), made))
    verdicts = [verdict(reply) for reply in replies]
    scene.extra += verdicts
    bad = [
        (body, reply)
        for body, reply, each in zip(made, replies, verdicts, strict=True)
        if each is not Verdict.RIGHT
    ]
    for body, reply in bad[:KEPT]:
        scene.out.mkdir(parents=True, exist_ok=True)
        file = scene.out / f"chaos-{what}-{body.number}.bin"
        file.write_bytes(body.content)
        scene.broken.append(f"{body.kind}, {file.name} to {body.path} {dict(body.headers)}: {reply}")
    return sum(reply.status == 200 for reply in replies)


def verdict(reply: Reply) -> Verdict:
    """Right is a success, or an error of the 4xx in our shape."""
    if reply.status == 0:
        return Verdict.LOST
    if reply.status == 200:
        return Verdict.RIGHT if is_answer(parsed(text(reply))) else Verdict.WRONG
    return Verdict.RIGHT if 400 <= reply.status < 500 and error(reply.body) else Verdict.WRONG


def text(reply: Reply) -> bytes:
    """Its JSON, without the binary tensors that may follow."""
    length = reply.headers.get(HEADER, "")
    return reply.body[: int(length)] if length.isdigit() else reply.body


def is_answer(content: object) -> bool:
    """Whether a success has one of the three forms."""
    return isinstance(content, list) or (
        isinstance(content, dict) and bool({"predictions", "outputs"} & set(content))
    )
