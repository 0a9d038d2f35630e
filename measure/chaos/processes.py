"""Faults of the processes: a worker killed, hung, out of memory; its decoders killed; the model server killed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import psutil

from measure.chaos.archives import RESPONSE_TIMEOUT
from measure.chaos.scene import MATES, RECOVERY_SECONDS, Scene
from measure.chaos.verdict import Verdict, error
from measure.http import REFUSED
from serving.host.polling import wait_until
from serving.host.processes import ENDED

PATIENCE = 30.0  # seconds that the model server's end may take to be noticed
MOST_ALIKE = 3  # clips in a batch that may be the same recording as the one that takes all memory
UNREADY_SECONDS = 5.0  # from when requests are not answered any more until readiness says so
FORK_SERVER = "speaker_id.decoders.fork_server"
EXPOSED = 1.0  # s in which callers reach a gateway without a model server


def kill_worker(scene: Scene) -> str:
    """SIGKILL while a batch is in the worker: the gateway sends it to the next one."""
    for _ in range(scene.size.kills):
        worker = scene.misbehave("linger")
        scene.strike()
        worker.kill()
        scene.recover(gone=[worker.pid])
    return f"{scene.size.kills} × SIGKILL with a batch in progress: the next worker answered it"


def hang(scene: Scene) -> str:
    """The worker sleeps past responseTimeout: it is ended, the gateway retries the batch."""
    worker = scene.misbehave("hang")
    scene.strike()
    scene.recover(gone=[worker.pid])
    ended = not worker.is_running() or worker.status() in ENDED
    scene.expect(ended, f"the hung worker {worker.pid} was left running")
    return f"ended after responseTimeout, {RESPONSE_TIMEOUT} s: the next worker answered its batch"


def hang_always(scene: Scene) -> str:
    """A clip that hangs every worker: 507 after two of them, for the other clips of its batch too."""
    return insist(scene, "hang", status=507, gone=scene.server.workers(scene.load.model))


def out_of_memory(scene: Scene) -> str:
    """The allocator refuses one batch: Python's MemoryError, then torch's own error."""
    for fault in ("oom", "oom-torch"):
        scene.misbehave(fault)
        scene.strike()
        scene.recover()
    return "MemoryError, then torch's allocator, over one batch: its clips were answered one by one"


def out_of_memory_always(scene: Scene) -> str:
    """A clip that takes all memory at each attempt: 507 for it, and right answers for the rest of its batch."""
    note = insist(scene, "oom", status=507)
    failed = scene.load.count(Verdict.RETRYABLE)
    scene.expect(failed <= MOST_ALIKE, f"{failed} clips failed with it")
    return note


def insist(scene: Scene, fault: str, status: int, gone: Sequence[int] = ()) -> str:
    """One clip that causes the fault at each attempt."""
    reply = scene.accompanied(f"{fault} always")
    scene.strike()
    answered = reply.result()
    code, _ = error(answered.body) or (answered.failure, "")
    scene.expect(answered.status == status, f"{fault}: {answered.status} {code}, not {status}")
    scene.recover(gone)
    return f"the clip that causes it got {answered.status} {code} after two attempts"


def kill_decoder(scene: Scene) -> str:
    """SIGKILL of every decoder while it has clips: each clip is given to another one."""
    count = killed(scene, lambda forker: forker.children())
    return f"{count} decoders killed in {scene.size.kills} strikes, their clips decoded by others"


def kill_fork_server(scene: Scene) -> str:
    """SIGKILL of what forks decoders, which ends them too: another is started."""
    count = killed(scene, lambda forker: [forker])
    return f"{count} × SIGKILL with clips in progress: another was started"


def killed(scene: Scene, victims: Callable[[psutil.Process], list[psutil.Process]]) -> int:
    """Kill some of a worker's decoder processes, several times; returns how many."""
    (worker,) = scene.server.workers(scene.load.model)
    count = 0
    for _ in range(scene.size.kills):
        for _ in range(MATES):
            scene.load.ask()
        found = victims(fork_server(worker))
        with scene.same_workers():
            for each in found:
                each.kill()
        count += len(found)
        gone = wait_until(lambda: not any(each.is_running() for each in found), RECOVERY_SECONDS)  # noqa: B023
        scene.expect(gone, "a killed process is still there")
    scene.expect(bool(fork_server(worker).children()), "the worker has no decoders")
    return count


def fork_server(worker: int) -> psutil.Process:
    """The process that forks a worker's decoders; the newest, where one was just replaced."""
    found = [each for each in psutil.Process(worker).children() if FORK_SERVER in each.cmdline()]
    return found[-1]


def kill_server(scene: Scene) -> str:
    """SIGKILL of the model server: 503 until `make serve` ends; this plays the supervisor, and restarts it.

    Readiness is what keeps callers away. Liveness is not probed: it waits 10 s for a model server that may come back,
    and `make serve` has ended by then.
    """
    scene.server.main().kill()
    scene.strike()
    sender = scene.server.sender()
    unready = wait_until(lambda: sender.get("/v2/health/ready").status == 503, UNREADY_SECONDS)
    scene.expect(unready, f"ready {UNREADY_SECONDS:.0f} s after the model server's end")
    noticed = wait_until(lambda: scene.server.service.fault() is not None, PATIENCE)
    fault = scene.server.service.fault() or "nothing"
    ended = f"{scene.server.service.server.title} has ended"
    scene.expect(noticed and ended in fault, f"make serve would say: {fault}")
    time.sleep(EXPOSED)  # what callers meet in it is counted; nothing is waited for
    with scene.load.server_down():
        scene.server.restart()
        scene.recover()
    answers = [reply for reply, verdict in scene.load.replies if verdict is Verdict.RETRYABLE]
    refused = sum(reply.failure == REFUSED for reply in answers)
    return f"{len(answers) - refused} × 503 from the gateway, then {refused} connections refused until the restart"
