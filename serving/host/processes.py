"""Processes by their identity, a process id together with its start time, so that a process that the system has given
a reused id is never signalled."""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from bundle import BundleError
from serving.host.polling import wait_until

STOPPED = {psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP}
ENDED = {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}
ENDING_POLL_SECONDS = 0.02
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Identity:
    """One process while it lives, and never a later one with the same id.

    Attributes:
        pid: its id.
        boot: the boot of the machine that it belongs to; empty if the system does not tell.
        started: when it was started, in clock ticks since the boot, which setting the clock does not change. Without
            /proc, seconds since the epoch as the kernel recorded them.
    """

    pid: int
    boot: str
    started: float

    @classmethod
    def of(cls, process: psutil.Process) -> Identity:
        """Raises psutil.NoSuchProcess if it has ended."""
        return cls(process.pid, _boot(), _started(process.pid))

    def process(self) -> psutil.Process | None:
        """The process, or None once it has ended with all its threads (a zombie has ended too)."""
        try:
            process = psutil.Process(self.pid)
            if self != Identity.of(process) or _ended(process):
                return None
        except psutil.NoSuchProcess:
            return None
        return process

    @property
    def alive(self) -> bool:
        return self.process() is not None


def _boot() -> str:
    try:
        return BOOT_ID.read_text("ascii").strip()
    except OSError:
        return ""


def _ended(process: psutil.Process) -> bool:
    # a killed process is a zombie as soon as its first thread has ended: while others have not, which on a busy machine
    # takes a while, its ports are taken and its files are open
    return process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1


def _started(pid: int) -> float:
    try:
        # the program's name comes first, in parentheses, and may contain blanks and parentheses: proc(5)
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError) as exc:
        if BOOT_ID.exists():
            raise psutil.NoSuchProcess(pid) from exc
        return psutil.Process(pid).create_time()
    return float(fields[19])  # starttime, the 22nd of all


def family(pid: int) -> list[psutil.Process]:
    """A process and all its descendants, itself first; empty once it has ended."""
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def wait_for_an_end(pids: Iterable[int], seconds: float) -> None:
    """Return once one of these processes has ended, or after so many seconds."""
    until = select.poll()
    with contextlib.ExitStack() as stack:
        for pid in pids:
            try:
                opened = os.pidfd_open(pid)
            except ProcessLookupError:
                return
            except OSError:
                continue  # a kernel without them: it is found at the next look
            stack.callback(os.close, opened)
            until.register(opened, select.POLLIN)
        until.poll(seconds * 1000)


def status(pid: int) -> str:
    """What psutil says of a process; "dead" once it has ended."""
    try:
        return str(psutil.Process(pid).status())
    except psutil.NoSuchProcess:
        return str(psutil.STATUS_DEAD)


def stopped(processes: Iterable[psutil.Process]) -> str | None:
    """The status of the first of the processes that is stopped; None if none is."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if (found := str(process.status())) in STOPPED:
                return found
    return None


def all_cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    """CPU time that the processes have used; 0 for one that has ended."""
    used = 0.0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            used += cpu_seconds(process)
    return used


def cpu_seconds(process: psutil.Process) -> float:
    """CPU time that it has used; raises psutil.NoSuchProcess once it has ended."""
    times = process.cpu_times()
    return float(times.user + times.system)


def matching(argument: Callable[[str], bool]) -> list[psutil.Process]:
    """Processes with an argument that passes a test: it finds workers whose parent has ended."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if any(map(argument, process.cmdline())):
                found.append(process)
    return found


def refuse_left(pids: Iterable[int]) -> None:
    """Raise BundleError if killing did not end these processes: what they hold cannot be used."""
    if left := list(pids):
        raise BundleError(f"processes {left} are still running although they were killed")


def end(processes: Iterable[psutil.Process], grace: float) -> list[int]:
    """Ask the processes to end, wait `grace` seconds, then kill the rest.

    Returns:
        The ids that are still running after that; none are expected.
    """
    waiting = list(processes)
    for process in waiting:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    left = _left(waiting, grace)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    return [process.pid for process in _left(left, 5.0)]


def _left(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Those that have not ended within so many seconds.

    An orphan's id stays until the machine's first process takes notice of its end, which in a container may be never.
    """

    def over() -> bool:
        nonlocal processes
        processes = [each for each in psutil.wait_procs(processes, timeout=0)[1] if not _gone(each)]
        return not processes

    wait_until(over, seconds, ENDING_POLL_SECONDS)
    return processes


def _gone(process: psutil.Process) -> bool:
    try:
        return _ended(process)
    except psutil.NoSuchProcess:
        return True
