"""Does every contender serve at all? Starts one after the other with the demo model and asks it for the 16 samples.

    python -m measure.compare.smoke [--only fastapi-pipeline,litserve-alone]

Exits with 0 only if all of them name the true speaker of every sample.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bundle.archive import prepare
from bundle.samples import samples
from bundle.sources import resolve
from bundle.spec import ModelSpec
from measure import Unavailable, command
from measure.compare import BUILD
from measure.compare.burst import burst
from measure.compare.contenders import NAMES, Contender, choose
from measure.compare.entry import server
from measure.compare.servers import serving
from measure.compare.usage import watched
from measure.loadtest.clips import Clip, load

MODEL = "demo"
LONE = 5


def ask(contender: Contender, spec: ModelSpec, checkpoint: Path, clips: Sequence[Clip]) -> str:
    """Start the server, ask it, stop it; gives a line about it.

    Raises:
        Unavailable: it does not run here, or gave a wrong answer.
    """
    began = time.monotonic()
    with serving(server(contender, spec, checkpoint, BUILD / "smoke" / contender.name), clips[0]) as it:
        started = time.monotonic() - began
        with watched(it) as usage:
            got = burst(it.target, clips)
            lone = statistics.median(burst(it.target, clips[:1]).seconds for _ in range(LONE))
    speakers = {sample.path.name: sample.speaker for sample in samples()}
    right = sum(answer.label == speakers[name] for name, answer in got.answers.items())
    found = (
        f"{right} of {len(clips)} right; started in {started:.1f} s, {got.seconds:.2f} s for all, "
        f"{1000 * lone:.0f} ms for a lone one, {usage.peak / 2**20:.0f} MB"
    )
    if right < len(clips):
        raise Unavailable("; ".join([found, *list(got.errors.values())[:1]]))
    return found


def run(contenders: Sequence[Contender]) -> int:
    spec = resolve(MODEL)
    checkpoint = prepare(spec)
    names = {sample.path.name for sample in samples()}
    clips = [clip for clip in load(samples()[0].path.parent) if clip.name in names]
    failed = 0
    for contender in contenders:
        try:
            line = ask(contender, spec, checkpoint, clips)
        except Unavailable as exc:
            line, failed = str(exc), 1
        print(f"{contender.name}: {line}", flush=True)
    return failed


def main(arguments: Sequence[str] | None = None) -> int:
    parser = command.parser("measure.compare.smoke", "Start and ask every contender.")
    parser.add_argument("--only", type=command.names, default=NAMES, help=f"of {','.join(NAMES)}")
    try:
        chosen = choose(parser.parse_args(arguments).only)
    except ValueError as exc:
        parser.error(str(exc))
    return command.guarded("smoke", lambda: run(chosen))


if __name__ == "__main__":
    sys.exit(main())
