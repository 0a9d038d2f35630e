"""80 % of the capacity for a long time: every answer right, and no growth of memory."""

from __future__ import annotations

import statistics
import time

from measure.chaos.load import Load
from measure.chaos.scene import Scene
from measure.chaos.verdict import Verdict
from measure.loadtest.summary import percentile

SHARE = 0.8
BURST = 48  # requests at once: six full batches
WARM = 60.0  # s of load before memory is measured; the JVM's heap takes most of it to reach its size
WARM_SHARE = 0.25  # of a run, at most
LOOK_SECONDS = 1.0
FLAT = 0.05  # growth that is allowed


def endure(scene: Scene) -> str:
    """Load at 80 % of the throughput in bursts; the memory is that of its first and last quarters."""
    capacity = statistics.median(scene.load.burst(BURST) for _ in range(scene.size.bursts))
    rate, seconds = SHARE * capacity - scene.load.rate, 60 * scene.size.minutes
    warm = min(WARM, WARM_SHARE * seconds)
    looks: list[tuple[float, float]] = []
    scene.strike()
    with Load(scene.server.sender(), scene.load.model, scene.load.clips, rate, scene.seed + 1) as load:
        began = time.monotonic()
        while (now := time.monotonic() - began) < seconds:
            looks.append((now, scene.server.memory()))
            time.sleep(LOOK_SECONDS)
    scene.recover()
    scene.load.replies += load.replies
    memory = [megabytes for moment, megabytes in looks if moment >= warm] or [looks[-1][1]]
    quarter = max(1, len(memory) // 4)
    before, after = statistics.median(memory[:quarter]), statistics.median(memory[-quarter:])
    scene.memory = before, after
    if warm == WARM:  # a shorter run shows how the heap fills, and nothing else
        scene.expect(after <= (1 + FLAT) * before, f"memory grew from {before:.0f} to {after:.0f} MB")
    waits = sorted(reply.finished - reply.sent for reply, verdict in load.replies if verdict is Verdict.RIGHT)
    tails = [f"p{100 * share:g} {1000 * percentile(waits, share):.0f} ms" for share in (0.5, 0.99) if waits]
    tail = ", ".join(tails) or "no answer"
    length = f"{scene.size.minutes:g} min" if scene.size.minutes >= 1 else f"{seconds:.0f} s"
    return f"{length} at {SHARE * capacity:.1f} clips/s, 80 % of the {capacity:.1f} that bursts are answered at; {tail}"
