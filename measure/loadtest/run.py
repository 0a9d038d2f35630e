"""One run at one rate, from the command line's options to its report."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from rich.console import Console

from measure.loadtest import LoadTestError, arrivals, server, slo, terminal
from measure.loadtest.clips import Clip
from measure.loadtest.drive import Plan, drive, plan
from measure.loadtest.server import Endpoint
from measure.loadtest.summary import summary
from measure.loadtest.target import Target
from measure.noise import Neighbours
from measure.progress import Progression

MOST_CALLERS = 200
PACKAGES = ("locust", "torchserve")  # whose versions a result names too


def run(args: argparse.Namespace, clips: Sequence[Clip], endpoint: Endpoint, screen: Console) -> int:
    """Load, show, report.

    Returns:
        The exit code: 1 if the SLO is not met, 2 if the generator could not keep up.
    """
    from measure.loadtest import (
        report,  # here, not above: matplotlib takes a second, and a refusal needs none
    )

    objective = slo.parse(args.slo) if args.slo else None
    planned, warmup, end = prepare(args, clips, endpoint.targets)
    before, neighbours = endpoint.spent(), Neighbours()
    total = None if planned.callers else len(planned.shots)
    with Progression(screen, "loading", total) as shown:
        records = drive(planned, terminal.watched(shown))
    after = endpoint.spent()
    foreign = neighbours.cores() if endpoint.server else None  # else the server is one of the others
    finished = report.Run(
        settings=settings(args, clips, endpoint.targets),
        records=records,
        end=end,
        warmup=warmup,
        result=summary(records, warmup, end),
        slo=objective,
        server=server.means(before, after),
        foreign_cores=foreign,
    )
    page, data = report.write(finished, args.out)
    if args.closed:
        screen.print("closed loop: these latencies are not those of independent callers", style="bold")
    screen.print(terminal.results(finished.rows()))
    screen.print(
        finished.verdict, style="bold red" if finished.breaches or not finished.result.valid else "bold"
    )
    screen.print(f"{page} and {data.name} have the details")
    return 2 if not finished.result.valid else 1 if finished.breaches else 0


def prepare(
    args: argparse.Namespace, clips: Sequence[Clip], targets: Sequence[Target]
) -> tuple[Plan, float, float]:
    """The plan, the seconds of warm-up in it, and its end."""
    warmup, seed = args.warmup, args.seed
    if args.closed is not None:
        if not 1 <= args.closed <= MOST_CALLERS:
            raise LoadTestError(f"--closed {args.closed}: a closed loop has 1 to {MOST_CALLERS} callers")
        end = warmup + args.duration
        endless = [0.0] * arrivals.MOST_ARRIVALS
        return plan(clips, targets, endless, end, seed, args.closed), warmup, end
    measured = arrivals.times(args.shape, args.rate, args.duration, seed)
    if args.rate * warmup < 1:
        warmup = 0.0  # not one request would fall into it
    lead = arrivals.times("poisson", args.rate, warmup, seed + 1) if warmup else []
    end = warmup + args.duration
    return plan(clips, targets, lead + [warmup + moment for moment in measured], end, seed), warmup, end


def settings(args: argparse.Namespace, clips: Sequence[Clip], targets: Sequence[Target]) -> dict[str, object]:
    """What was asked for, for the report. No token in it."""
    mean = sum(clip.seconds for clip in clips) / len(clips)
    asked = {name: getattr(args, name) for name in ("shape", "rate", "duration") if hasattr(args, name)}
    return {
        "urls": [target.url for target in targets],
        "form": targets[0].form,
        **asked,
        "callers": getattr(args, "closed", None),
        "clips": f"{len(clips)} of {min(c.seconds for c in clips):.1f} to {max(c.seconds for c in clips):.1f} s, "
        f"mean {mean:.1f} s, from {args.clips or 'the default mix'}",
        "seed": args.seed,
        "timeout": args.timeout,
    }
