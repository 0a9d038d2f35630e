"""What callers get who want four answers to a clip: of one model with four heads, and of four models that are served.

    python -m measure.bench.heads_served [--quick] [--rounds 3] [--slo 10]     writes heads_served.json and benchmark.md

A question is a clip and its four answers: one request, or one to each of four models at once, whose slowest answer
counts. Both servers stand side by side and are asked in turn: bursts of questions for the throughput, then open
arrivals for the highest rate at which 99 % of the questions are answered within the SLO.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, groupby
from pathlib import Path
from typing import Any

import psutil
from speaker_id import checkpoint
from transformers.utils.logging import disable_progress_bar

from bundle import store
from bundle.archive import prepare
from bundle.sources import resolve
from measure import MeasureError, command, machine, noise
from measure.bench import BUILD, RESULTS
from measure.bench.heads import HEADS, with_head_of_its_own
from measure.compare.steps import capacity, held
from measure.document import Page, Table, join
from measure.loadtest import arrivals, drive
from measure.loadtest.clips import Clip, default_mix
from measure.loadtest.summary import Summary, summary
from measure.loadtest.target import Target
from measure.machine import Machine
from measure.noise import Neighbours
from measure.results import ratio
from measure.sampling import resident
from measure.verdict import Verdict
from serving.model_server import ModelServer
from serving.temporary import serving

FILE, PAGE = "heads_served.json", Page.of("benchmark", "measure.bench.heads_served")
NAMES = ("first", "second", "third", "fourth")
assert len(NAMES) == HEADS
ONE, FOUR = "four heads, one model", "four models"
BURST = 16  # questions
STEP_SECONDS, FEWEST = 40.0, 30  # of a rate: at least so long, and so many questions expected
PATIENCE = 3.0  # times the SLO, after which a question has failed


@dataclass(frozen=True)
class Rate:
    """Open arrivals at one rate, in questions a second; `met` the SLO or not."""

    rate: float
    p99: float
    met: bool


@dataclass
class Asked:
    """One arrangement, as it is served. `peak` is the largest resident set of its workers together, in bytes."""

    targets: Sequence[Target]
    server: ModelServer
    bursts: list[float] = field(default_factory=list)  # questions a second
    steps: list[Rate] = field(default_factory=list)
    peak: int = 0

    def ask(
        self, clips: Sequence[Clip], moments: Sequence[float], seconds: float, seed: int
    ) -> list[drive.Record]:
        """One record a question, as late as its last answer."""
        plans = [drive.plan(clips, [target], moments, seconds, seed) for target in self.targets]
        shots = sorted(
            chain.from_iterable(plan.shots for plan in plans), key=lambda shot: (shot.time, shot.clip.name)
        )
        records = drive.drive(drive.Plan(tuple(shots), seconds))
        self.peak = max(self.peak, resident(map(psutil.Process, self.server.worker_pids())))
        return questions(records)

    def burst(self, clips: Sequence[Clip], seed: int) -> None:
        found = self.ask(clips, [0.001 * number for number in range(BURST)], 0.0, seed)
        if failed := [record for record in found if record.error]:
            raise MeasureError(f"{failed[0].url} answered {failed[0].error} to {failed[0].clip}")
        self.bursts.append(len(found) / max(record.finished for record in found))

    def step(self, clips: Sequence[Clip], slo: float, least: float, rate: float) -> Rate:
        seconds = max(least, FEWEST / rate)
        moments = arrivals.times("poisson", rate, seconds, 0)
        found: Summary = summary(self.ask(clips, moments, seconds, 0), 0.0, seconds)
        return Rate(rate, found.p99, found.p99 <= slo)


def questions(records: Sequence[drive.Record]) -> list[drive.Record]:
    """Answers to one clip at one moment → the latest of them, failed if any failed."""
    found = []
    by_moment = sorted(records, key=lambda record: (record.scheduled, record.clip))
    for _, group in groupby(by_moment, key=lambda record: (record.scheduled, record.clip)):
        answers = list(group)
        latest = max(answers, key=lambda record: record.finished)
        found.append(replace(latest, error=next((each.error for each in answers if each.error), None)))
    return found


def checkpoints(model: str, folder: Path) -> None:
    """Write a model of four heads, each of whose folders is a model by itself too."""
    disable_progress_bar()
    loaded = checkpoint.load(prepare(resolve(model)))
    for seed, name in enumerate(NAMES):
        made = with_head_of_its_own(loaded.model, seed) if seed else loaded.model
        made.save_pretrained(folder / name)
        loaded.feature_extractor.save_pretrained(folder / name)
    lines = "".join(f"  {name}: ./{name}\n" for name in NAMES)
    (folder / "model.yaml").write_text(f"heads:\n{lines}")


@contextmanager
def served(names: Sequence[str], title: str, patience: float) -> Iterator[Asked]:
    """Serve models, a worker each."""
    with serving([resolve(name) for name in names], title, command.console()) as service:
        address = service.gateway.url
        paths = [f"{address}/predictions/{Path(name).name}" for name in names]
        yield Asked([Target(path, timeout=patience) for path in paths], service.server)


def measure(folder: Path, clips: Sequence[Clip], rounds: int, slo: float, least: float) -> dict[str, Any]:
    neighbours = Neighbours()
    patience = PATIENCE * slo
    with ExitStack() as stack:
        one = stack.enter_context(served([f"{folder}"], "heads", patience))
        four = stack.enter_context(served([f"{folder / name}" for name in NAMES], "models", patience))
        asked = {ONE: one, FOUR: four}
        for each in asked.values():
            each.burst(clips, 0)  # to warm up
            each.bursts.clear()
        for number in range(rounds):
            for each in [*asked.values()][:: 1 if number % 2 else -1]:
                each.burst(clips, number)
        for each in asked.values():
            full = statistics.median(each.bursts)
            each.steps = capacity(partial(each.step, clips, slo, least), full)
    return {
        "foreign_cores": neighbours.cores(),
        "arrangements": {
            name: {
                "questions_per_second": each.bursts,
                "capacity": held(each.steps),
                "steps": [vars(step) for step in each.steps],
                "peak_mb": each.peak / 1e6,
            }
            for name, each in asked.items()
        },
    }


def verdicts(found: dict[str, Any]) -> list[Verdict]:
    """What this repository set out to reach with four heads."""
    one, four = (found["arrangements"][name] for name in (ONE, FOUR))
    held_by_both = one["capacity"] and four["capacity"]
    return [
        Verdict(
            "questions at the same SLO, of four models",
            3.5,
            one["capacity"] / four["capacity"] if held_by_both else None,
        ),
        Verdict(
            "questions at saturation, of four models",
            3.5,
            ratio(one["questions_per_second"], four["questions_per_second"]),
        ),
    ]


def table(found: dict[str, Any]) -> str:
    """The Markdown of what `main` writes as JSON."""

    def best(row: dict[str, Any]) -> str:
        return "none" if row["capacity"] is None else f"{row['capacity']:.3g}"

    return join(
        f"{Machine(**found['machine']).words()}. {found['model']}; {found['clips']} clips; {found['rounds']} bursts of "
        f"{BURST} questions, then open arrivals for {found['step_seconds']:g} s or {FEWEST} questions a rate. "
        f"{noise.words(found['foreign_cores'])}",
        Table.of(
            list(found["arrangements"].items()),
            (
                ("served", lambda row: row[0]),
                (
                    "questions/s at saturation",
                    lambda row: f"{statistics.median(row[1]['questions_per_second']):.3g}",
                ),
                (f"questions/s with p99 ≤ {found['slo']:g} s", lambda row: best(row[1])),
                ("workers' memory", lambda row: f"{row[1]['peak_mb']:,.0f} MB"),
            ),
        ),
        "\n".join(f"- {each.what}: {', '.join(each.cells('.2f'))}" for each in verdicts(found)),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = command.parser("measure.bench.heads_served", "Measure what heads save that are served together.")
    command.add_run_options(parser, "one burst, short steps")
    parser.add_argument("--rounds", type=int, default=3, help="bursts of each (%(default)s)")
    parser.add_argument(
        "--slo", type=float, default=10.0, help="bound of the 99th percentile, s (%(default)g)"
    )
    chosen = parser.parse_args(arguments)
    return command.guarded("measure.bench.heads_served", lambda: run(chosen))


def run(chosen: argparse.Namespace) -> None:
    rounds, least = (1, 4.0) if chosen.quick else (chosen.rounds, STEP_SECONDS)
    model = command.model(chosen, command.progress())
    BUILD.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD) as temporary:
        folder = Path(temporary) / "four-heads"
        folder.mkdir()
        checkpoints(model, folder)
        clips = default_mix(Path(temporary) / "clips", 0)
        try:
            found = measure(folder, clips, rounds, chosen.slo, least)
        finally:
            for name in (folder.name, *NAMES):
                (store.STORE / f"{name}.mar").unlink(missing_ok=True)
    found |= {
        "machine": machine.describe().model_dump(),
        "model": model,
        "rounds": rounds,
        "clips": len(clips),
        "slo": chosen.slo,
        "step_seconds": least,
    }
    results = command.folder(chosen, RESULTS, BUILD)
    print(PAGE.record(found, table, results / FILE, RESULTS / FILE))


if __name__ == "__main__":
    sys.exit(main())
