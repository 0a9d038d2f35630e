"""Service times and start-up of the real server, as its callers see them:

python -m measure.autoscale.measure --model demo --model full-size      writes measure/autoscale/results/service-*.json
python -m measure.autoscale.measure --server triton                     writes build/autoscale/triton/service-*.json

One server a model, as `make serve` starts it. Open arrivals at a third, two thirds and six fifths of what it answers of
a burst give batches of every size; their durations are fitted. Needs a quiet machine.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
from rich.console import Console

from bundle import shipped, sources, versions
from bundle.spec import ModelSpec
from measure import command, machine
from measure.autoscale import BUILD, RESULTS, service
from measure.autoscale.batches import Batch, batches, write_batches
from measure.autoscale.service import Service
from measure.loadtest import arrivals
from measure.loadtest import clips as clip_files
from measure.loadtest.clips import Clip
from measure.loadtest.drive import drive, plan
from measure.loadtest.step import estimate
from measure.loadtest.target import Target
from measure.noise import Neighbours
from serving import model_servers
from serving.host.processes import cpu_seconds
from serving.model_servers import Chosen
from serving.temporary import serving

DEMO, FULL = "demo", "full-size"
MODELS = (DEMO, FULL)
SHARES = (0.33, 0.67, 1.2)  # of what a burst is answered at
REQUESTS = 400  # of each share, within at most
LONGEST = {DEMO: 30.0, FULL: 36.0}  # s of arrivals of each share
SEED = 100  # the validation's arrivals have others


def spec(model: str, say: Console) -> ModelSpec:
    """The demo, or the demo widened to the published model's size, which is made if it is missing."""
    if model == DEMO:
        return sources.resolve(DEMO)
    if not command.FULL_SIZE.is_dir():
        command.widened(say.print)
    return sources.resolve(str(command.FULL_SIZE))


@contextmanager
def server(
    model: str, screen: Console, chosen: Chosen = model_servers.DEFAULT
) -> Iterator[tuple[ModelSpec, Target, float, list[psutil.Process]]]:
    """A server of the model: what it serves, where, the seconds that its start took, and its processes."""
    served = versions.current(spec(model, screen))
    began = time.monotonic()
    with serving([served], "autoscale", screen, chosen) as running:
        startup = time.monotonic() - began
        found = [identity.process() for identity in running.server.identities()]
        found.append(psutil.Process(running.gateway.pid))
        target = Target(f"{running.gateway.url}/predictions/{served.name}")
        yield served, target, startup, [process for process in found if process]


def observe(
    clips: Sequence[Clip], target: Target, shares: Sequence[float], longest: float, seed: int
) -> list[Batch]:
    """Batches of open arrivals at these shares of the server's speed."""
    full = estimate(clips, [target], seed)
    found: list[Batch] = []
    for number, share in enumerate(shares):
        rate = share * full
        seconds = min(longest, REQUESTS / rate)
        moments = arrivals.times("poisson", rate, seconds, seed + number)
        found += batches(drive(plan(clips, [target], moments, seconds, seed + number)))
    return found


def measure(
    model: str, folder: Path, screen: Console, mix: Sequence[Clip], chosen: Chosen = model_servers.DEFAULT
) -> Service:
    """Measures one model, writes it, and says what it found."""
    neighbours = Neighbours()
    with server(model, screen, chosen) as (served, target, startup, processes):
        with screen.status(f"{model}: open arrivals at {len(SHARES)} rates"):
            before, began = used(processes), time.monotonic()
            found = observe(mix, target, SHARES, LONGEST[model], SEED)
            taken = used(processes) - before
        foreign = neighbours.cores()
    settings = served.torchserve
    delay = settings.maxBatchDelay / 1000
    provenance = machine.provenance()
    cores = provenance["machine"]["cores"]
    made = Service(
        model=model,
        batch=settings.batchSize,
        delay=delay,
        queue=queue_size(shipped.SHIPPED.read_text("utf-8")),
        workers=settings.minWorkers,
        startup=round(startup, 2),
        cpu=round(min(taken / sum(batch.seconds for batch in found), cores), 3),
        cores=cores,
        **service.fit(found, delay, settings.batchSize),
    )
    provenance |= {"foreign_cores": round(foreign, 3), "measured_seconds": round(time.monotonic() - began, 1)}
    service.write(made, provenance, folder)
    write_batches(found, folder / f"batches-{model}.csv")
    screen.print(words(made))
    return made


def queue_size(text: str) -> int:
    """job_queue_size of config.properties."""
    found = re.search(r"^job_queue_size=(\d+)$", text, re.MULTILINE)
    assert found, "config.properties sets job_queue_size"
    return int(found[1])


def used(processes: Sequence[psutil.Process]) -> float:
    """Processor seconds that these processes have taken."""
    return sum(map(cpu_seconds, processes))


def words(made: Service) -> str:
    return (
        f"{made.model}: ready after {made.startup:.1f} s; a batch takes {1000 * made.fixed:.1f} ms + "
        f"{1000 * made.per_request:.1f} ms a request + {1000 * made.per_second:.2f} ms a second of audio, half of "
        f"{made.batches} batches within {100 * made.error:.0f} %; {1000 * made.overhead:.1f} ms on the way"
    )


@contextmanager
def mix() -> Iterator[list[Clip]]:
    """The load test's default clips, for the length of the block."""
    with tempfile.TemporaryDirectory(prefix="autoscale-") as folder:
        yield clip_files.default_mix(Path(folder), 0)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = command.parser("measure.autoscale.measure", "Measure what the simulation is driven by.")
    parser.add_argument("--model", action="append", choices=MODELS, help="default: both")
    add_options(parser)
    chosen = parser.parse_args(arguments)
    return guarded(lambda screen: run(chosen.model or MODELS, folder(chosen), screen, Chosen(chosen.server)))


def add_options(parser: argparse.ArgumentParser) -> None:
    """--server, and --results as `folder` reads it."""
    option = parser.add_argument
    option("--server", choices=model_servers.NAMES, default=model_servers.DEFAULT.name, help="(%(default)s)")
    option("--results", type=Path, help=f"folder ({RESULTS}, of another model server {BUILD}/NAME)")


def folder(chosen: argparse.Namespace) -> Path:
    """Where results go: those of another model server than the page is about never to the committed ones."""
    own = RESULTS if chosen.server == model_servers.DEFAULT.name else BUILD / chosen.server
    return Path(chosen.results or own)


def run(models: Sequence[str], folder: Path, screen: Console, chosen: Chosen) -> None:
    with mix() as clips:
        for model in models:
            measure(model, folder, screen, clips, chosen)


def guarded(work: Callable[[Console], int | None]) -> int:
    """Exit code of a command: its own, or 2 with one line that says why there is no result."""
    return command.guarded("autoscale", lambda: work(command.console()), failed=2)


if __name__ == "__main__":
    sys.exit(main())
