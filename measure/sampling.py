"""What a process uses while it works, sampled from beside it."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

PEAKS = re.compile(r"^Vm(Peak|HWM):\s+(\d+) kB$", re.MULTILINE)


@contextmanager
def sampled(look: Callable[[], None], seconds: float) -> Iterator[None]:
    """Call `look` every so many seconds for the length of the block, and once more at its end."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(seconds):
            look()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        look()


def peaks(pid: int | str = "self") -> dict[str, int]:
    """Largest address space (`Peak`) and resident set (`HWM`) so far, in bytes; empty once the process has ended."""
    status = Path(f"/proc/{pid}/status").read_text("utf-8", "replace")
    return {name: int(kib) << 10 for name, kib in PEAKS.findall(status)}


def reset_peaks() -> None:
    """Of this process's resident set."""
    Path("/proc/self/clear_refs").write_text("5")


def resident(processes: Iterable[psutil.Process]) -> int:
    """Memory of all processes together, in bytes, shared pages counted in each."""
    total = 0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss
    return total
