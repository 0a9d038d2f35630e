"""Faults of the decoder processes: clips made to harm them, one that is killed, and the server that forks them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psutil

from measure.chaos.attacks import attacks
from measure.chaos.callers import FUZZERS, fuzz_verdict
from measure.chaos.fuzz import OCTETS
from measure.chaos.load import Sender
from measure.chaos.scene import MATES, RECOVERY_SECONDS, Scene
from measure.chaos.verdict import Verdict
from serving.host.polling import wait_until

ATTACK_BYTES = 1 << 16  # of one body
FORK_SERVER = "speaker_id.decoders.fork_server"


def hostile_clips(scene: Scene) -> str:
    """Every attack that is known, small: each gets an answer or an error of the 4xx, and no worker minds."""
    workers = scene.server.workers(scene.load.model)
    chosen = [attack for attack in attacks() if not attack.honest][:: scene.size.every]
    sender, path = Sender(scene.server.url), f"/predictions/{scene.load.model}"
    scene.strike()
    with ThreadPoolExecutor(FUZZERS, thread_name_prefix="hostile") as pool:
        bodies = [attack.build(ATTACK_BYTES) for attack in chosen]
        replies = list(pool.map(lambda body: sender.post(path, body, {"Content-Type": OCTETS}), bodies))
    scene.recover()
    scene.expect(scene.server.workers(scene.load.model) == workers, "a worker was restarted")
    for attack, reply in zip(chosen, replies, strict=True):
        verdict = fuzz_verdict(reply)
        scene.extra.append(verdict)
        said = reply.failure or reply.body[:200].decode("utf-8", "replace")
        scene.expect(verdict is Verdict.RIGHT, f"{attack.name}: {reply.status} {said}")
    answered = sum(reply.status == 200 for reply in replies)
    return f"{len(replies)} bodies made to harm decoders: {answered} valid, the rest 4xx"


def kill_decoder(scene: Scene) -> str:
    """SIGKILL of every decoder while clips are in hand: each clip is given to another one."""
    count = killed(scene, lambda forker: forker.children())
    return f"{count} decoders killed in {scene.size.kills} strikes, their clips decoded by others"


def kill_fork_server(scene: Scene) -> str:
    """SIGKILL of what forks decoders, which ends them too: another is started."""
    count = killed(scene, lambda forker: [forker])
    return f"{count} × SIGKILL with clips in hand: another was started"


def killed(scene: Scene, victims: Callable[[psutil.Process], list[psutil.Process]]) -> int:
    """Kill some of a worker's decoder processes, again and again; how many."""
    (worker,) = scene.server.workers(scene.load.model)
    count = 0
    for _ in range(scene.size.kills):
        for _ in range(MATES):
            scene.load.ask()
        found = victims(fork_server(worker))
        scene.strike()
        for each in found:
            each.kill()
        scene.recover()
        count += len(found)
        gone = wait_until(lambda: not any(each.is_running() for each in found), RECOVERY_SECONDS)  # noqa: B023
        scene.expect(gone, "a killed process is still there")
    scene.expect(scene.server.workers(scene.load.model) == [worker], "a worker was restarted")
    scene.expect(bool(fork_server(worker).children()), "the worker has no decoders")
    return count


def fork_server(worker: int) -> psutil.Process:
    """The process that forks a worker's decoders; the newest, where one was just replaced."""
    found = [each for each in psutil.Process(worker).children() if FORK_SERVER in each.cmdline()]
    return found[-1]
