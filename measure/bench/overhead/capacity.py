"""The highest rate at which a server of the demo meets an SLO, with the load test's clips: checkouts in turn.

Each search is the load test's (`measure.loadtest.capacity`) with shorter steps: rounds replace its repetition.
"""

from __future__ import annotations

import contextlib
import itertools
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from measure.bench.null_server import MODEL, Served, built, launched
from measure.bench.overhead.checkout import OTHER, THIS, Checkout
from measure.command import Say
from measure.loadtest import slo
from measure.loadtest.capacity import Step, search
from measure.loadtest.clips import Clip, default_mix
from measure.loadtest.find import ABOVE, BELOW, DEFAULT_SLO
from measure.loadtest.step import estimate, measure
from measure.loadtest.summary import Summary
from measure.loadtest.target import Target
from measure.loadtest.terminal import step_line
from measure.results import ratio

PRECISION = 0.1  # of one search; a step takes the SLO's latency / PRECISION
STEPS = 5  # of one search at most
AROUND = 1.2  # the bracket of later rounds, around what the first found
SEED = 0


@contextlib.contextmanager
def served(checkouts: Sequence[Checkout], server: str) -> Iterator[dict[str, Served]]:
    """A server of the demo for each checkout, all of them at once: an idle one costs nothing worth measuring."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="capacity-")))
        found = {}
        for each in checkouts:
            name = f"capacity-{each.name}"
            store = built(each.path, name, MODEL, each.path / "handler")
            run = folder / each.name
            found[each.name] = stack.enter_context(launched(each.path, name, store, run, server))
        yield found


def run(checkouts: Sequence[Checkout], server: str, rounds: int, say: Say) -> dict[str, Any]:
    """Requests a second of each, one value a round, and this by other, the median of the rounds' ratios."""
    rates: dict[str, list[float]] = {each.name: [] for each in checkouts}
    seeds = itertools.count(SEED)
    with tempfile.TemporaryDirectory(prefix="mix-") as mix, served(checkouts, server) as servers:
        clips = default_mix(Path(mix), SEED)
        for number in range(rounds):
            for name, it in servers.items() if number % 2 else reversed(servers.items()):
                target = Target(f"http://127.0.0.1:{it.port}/predictions/{MODEL}")
                say(f"round {number + 1} of {rounds}: {name}")
                found = capacity(clips, target, rates[name][-1] if rates[name] else None, seeds, say)
                rates[name].append(found)
                say(f"{name}: {found:.1f} requests/s")
    lengths = [clip.seconds for clip in clips]
    return {
        "slo": DEFAULT_SLO,
        "clips": f"{len(clips)} of {min(lengths):.1f} to {max(lengths):.1f} s, mean {statistics.mean(lengths):.1f} s",
        "rows": [
            {"server": name, "requests/s": statistics.median(each), "rounds": each}
            for name, each in rates.items()
        ],
        "by other": ratio(rates[THIS], rates[OTHER]) if OTHER in rates else None,
    }


def capacity(
    clips: Sequence[Clip], target: Target, before: float | None, seeds: Iterator[int], say: Say
) -> float:
    """Requests a second of one search; `before` is what the last one found."""
    objective = slo.parse(DEFAULT_SLO)
    if before is None:
        full = estimate(clips, [target], next(seeds))
        low, high = BELOW * full, ABOVE * full
    else:
        low, high = before / AROUND, before * AROUND

    def one(rate: float) -> Summary:
        return measure(clips, [target], objective, rate, next(seeds), precision=PRECISION)

    def shown(step: Step) -> None:
        say(step_line(step, objective))

    return search(one, objective, low, high, precision=PRECISION, most_steps=STEPS, on_step=shown).rate
