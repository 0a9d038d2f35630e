"""Does every contender serve at all? Starts one after the other with the demo model and asks it for the 16 samples.

    python -m measure.compare.smoke [--only fastapi-pipeline,litserve-alone]

Exits with 0 only if all of them name the true speaker of every sample.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import sys
import time
from collections.abc import Sequence

from bundle.archive import prepare
from bundle.samples import samples
from bundle.sources import resolve
from measure.compare import BUILD, contenders
from measure.compare.burst import burst
from measure.compare.entry import server
from measure.compare.environments import Unavailable
from measure.compare.servers import serving
from measure.compare.usage import Usage
from measure.loadtest.clips import load
from serving.signals import SIGNALS

MODEL = "demo"
LONE = 5


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m measure.compare.smoke", description="Start and ask every contender."
    )
    parser.add_argument("--only", type=lambda text: text.split(","), help=f"of {','.join(contenders.NAMES)}")
    try:
        chosen = contenders.choose(parser.parse_args(arguments).only)
    except ValueError as exc:
        parser.error(str(exc))
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler)  # so that what runs is ended
    spec = resolve(MODEL)
    checkpoint = prepare(spec)
    speakers = {sample.path.name: sample.speaker for sample in samples()}
    clips = [clip for clip in load(samples()[0].path.parent) if clip.name in speakers]
    failed = 0
    for contender in chosen:
        began = time.monotonic()
        try:
            with serving(
                server(contender, spec, checkpoint, BUILD / "smoke" / contender.name), clips[0]
            ) as it:
                started = time.monotonic() - began
                with Usage(it) as usage:
                    got = burst(it.target, clips)
                    lone = statistics.median(burst(it.target, clips[:1]).seconds for _ in range(LONE))
        except Unavailable as exc:
            print(f"{contender.name}: {exc}", flush=True)
            failed += 1
            continue
        right = sum(answer.label == speakers[name] for name, answer in got.answers.items())
        failed += right < len(clips)
        why = f"; {next(iter(got.errors.values()))}" if got.errors else ""
        print(
            f"{contender.name}: {right} of {len(clips)} right; started in {started:.1f} s, "
            f"{got.seconds:.2f} s for all, {1000 * lone:.0f} ms for a lone one, {usage.peak / 2**20:.0f} MB{why}",
            flush=True,
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
