"""Processes that end with the one that started them, however that one ends: SIGKILL, too little memory, a crash.

The child is the leader of a group of its own, into which its descendants are born. A shell in that group reads
from a pipe whose other end the parent alone holds, and never writes to: the kernel closes it when the parent ends, and
the shell then kills the whole group. Being in it, the shell keeps the group's number from being given
to another. No signal tied to a parent's death (Linux's PR_SET_PDEATHSIG), as that comes when the *thread* ends that
started the child, reaches no grandchildren (TorchServe's workers are Java's), and exists on Linux alone.
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
    """Whether this is such a shell, which is a child of the process that it is to end."""
    return WATCH in process.cmdline()


class Leashed(subprocess.Popen[bytes]):
    """A process in a session of its own, with nothing to read; it ends with this one, and so do its descendants.

    Args:
        command: with the path of the program.
        options: as for Popen.

    Attributes:
        release: closes our end of the pipe, which kills whatever the group still has; again is harmless.
    """

    def __init__(self, command: Sequence[str], **options: Any) -> None:
        read, held = os.pipe()  # neither is inherited, except `read` as the child's input
        self.release = weakref.finalize(self, os.close, held)
        try:
            super().__init__(
                ["/bin/sh", "-c", SCRIPT, "leash", *command],
                stdin=read,
                # a Ctrl-C in the terminal is ours to handle: Java would drop what is in flight
                start_new_session=True,
                **options,
            )
        finally:
            os.close(read)
