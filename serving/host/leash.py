"""Processes that end with the one that started them, however that one ends: SIGKILL, out of memory, a crash.

The child leads its own process group, which its descendants inherit. A shell in that group reads
from a pipe whose other end only the parent holds, and never writes to: the kernel closes it when the parent ends, and
the shell then kills the whole group. As a member, the shell prevents the group's number from being reused. Linux's
PR_SET_PDEATHSIG is not used: its signal is sent when the *thread* ends that started the child, does not reach
grandchildren (TorchServe's workers are Java's), and exists on Linux only.
"""

from __future__ import annotations

import os
import subprocess
import weakref
from collections.abc import Sequence
from typing import Any

import psutil

WATCH = "read _; kill -9 0"  # 0 is the group
SCRIPT = f"""\
exec 9<&0
(trap '' HUP INT QUIT TERM; cd /; exec /bin/sh -c '{WATCH}' leash <&9 9<&- >/dev/null 2>&1) &
exec "$@" </dev/null 9<&-
"""


def watches(process: psutil.Process) -> bool:
    """Whether a process is such a shell, which is a child of the process that it guards."""
    return WATCH in process.cmdline()


class Leashed(subprocess.Popen[bytes]):
    """A process in a new session, with an empty standard input; it and its descendants end with this process.

    Args:
        command: with the path of the program.
        options: as for Popen.

    Attributes:
        release: closes our end of the pipe, which kills what remains of the group; may be called repeatedly.
    """

    def __init__(self, command: Sequence[str], **options: Any) -> None:
        read, held = os.pipe()  # neither is inherited, except `read` as the child's standard input
        self.release = weakref.finalize(self, os.close, held)
        try:
            super().__init__(
                ["/bin/sh", "-c", SCRIPT, "leash", *command],
                stdin=read,
                # this process handles Ctrl-C in the terminal: Java would drop requests in flight
                start_new_session=True,
                **options,
            )
        finally:
            os.close(read)
