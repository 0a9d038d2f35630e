"""Do the workers of a version still work on what they were given? Model servers tell what is queued, and no more."""

from __future__ import annotations

import time
from collections.abc import Iterable

from speaker_id import activity

from serving.host import processes

# for a batch on its way from the queue to a worker to arrive, and for CPU time to be measured
IDLE_SECONDS = 0.5
WORK = 0.05  # of a core during that time: computing


def working(pids: Iterable[int]) -> bool:
    """Whether one of the workers has a batch in progress now, or in half a second.

    What a worker shows decides: it may wait for a decoder, or for the processor. One that shows nothing (a system
    without /proc, a handler of one's own) works if it or a descendant computes.
    """
    shown = {pid: activity.shown(pid) for pid in pids}
    if any(map(activity.batch_of, shown)):
        return True
    families = [processes.family(pid) for pid, name in shown.items() if name is None]
    before = [processes.all_cpu_seconds(family) for family in families]
    time.sleep(IDLE_SECONDS)  # the time that is measured
    used = [processes.all_cpu_seconds(family) - start for family, start in zip(families, before, strict=True)]
    return any(map(activity.batch_of, shown)) or any(each > WORK * IDLE_SECONDS for each in used)
