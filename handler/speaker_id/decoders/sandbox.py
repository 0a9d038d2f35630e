"""Confine a decoder process: it may still compute, and answer.

Everything here is what an unprivileged process can give up irrevocably. seccomp is used through libseccomp and its
binding pyseccomp; where either is missing (no Linux, no libseccomp2) only the resource limits apply, and FILTERED is
False.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

try:
    import pyseccomp as seccomp
except (ImportError, OSError, RuntimeError):  # RuntimeError: no libseccomp on this machine
    seccomp = None

# What decoding needs: memory, its own descriptors, the clock. Opening a file, making a socket, starting a process or
# thread, or sending a signal fails with EPERM.
SYSTEM_CALLS = (
    "read", "write", "readv", "writev", "pread64", "pwrite64", "lseek", "close", "fstat", "newfstatat", "ftruncate",
    "recvfrom", "sendto", "recvmsg", "sendmsg", "poll", "ppoll",
    "mmap", "munmap", "mremap", "brk", "madvise", "mprotect",
    "futex", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "restart_syscall", "sched_yield", "sched_getaffinity",
    "clock_gettime", "clock_getres", "gettimeofday", "getrandom", "getrusage", "getpid", "gettid", "exit", "exit_group",
)  # fmt: skip
FILTERED = seccomp is not None
PR_SET_PDEATHSIG = 1
PROT_EXEC = 4


def end_with_parent(parent: int) -> None:
    """Have the kernel end this process when the one that started it ends, for whatever reason.

    Args:
        parent: its process id. If it has already ended, so does this: the kernel would not notice.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def confine(memory: int, file_bytes: int) -> None:
    """Give up every right that decoding does not need; irrevocable.

    Args:
        memory: bytes of address space beyond what the process has now. Too low: legitimate clips fail. Too high: one
            hostile clip takes that much of the machine.
        file_bytes: most bytes that it may write to a file, which is the shared memory for samples.
    """
    used = _address_space()
    if used:
        resource.setrlimit(resource.RLIMIT_AS, (used + memory,) * 2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))  # open descriptors stay, new ones fail
    if hasattr(resource, "RLIMIT_NPROC"):
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    if FILTERED:
        _filter_system_calls()


def limit_cpu(seconds: float) -> None:
    """End this process (SIGXCPU) once it has used so many more CPU seconds, rounded up to whole ones by the kernel."""
    # not os.times(): its system call is filtered, and it returns garbage without an error
    used = time.process_time()
    resource.setrlimit(resource.RLIMIT_CPU, (int(used + seconds) + 1, resource.RLIM_INFINITY))


def _address_space() -> int:
    """Bytes of address space in use; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
    except OSError:
        return 0


def _filter_system_calls() -> None:
    rules: Any = seccomp.SyscallFilter(seccomp.ERRNO(1))  # EPERM
    for name in SYSTEM_CALLS:
        if name in ("mmap", "mprotect"):  # no executable memory
            rules.add_rule(seccomp.ALLOW, name, seccomp.Arg(2, seccomp.MASKED_EQ, PROT_EXEC, 0))
        else:
            rules.add_rule(seccomp.ALLOW, name)
    # of itself only, not of other processes
    rules.add_rule(seccomp.ALLOW, "prlimit64", seccomp.Arg(0, seccomp.EQ, 0))
    rules.load()  # sets no_new_privs too
