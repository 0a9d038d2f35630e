"""A server under load for two and a half minutes, scraped as Prometheus would, → deploy/grafana/recorded.csv.gz.

    python -m measure.dashboard.record [--server triton]     of Triton → build/recorded-triton.csv.gz

The minutes hold what a dashboard is there to show: a quiet stretch, a busier one, a burst beyond the queue, a worker
that is killed in the middle of its work, and now and then a clip that cannot be decoded.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

from rich.console import Console

from bundle import sources
from measure import command
from measure.dashboard.recording import Recording, of_scrapes, write
from measure.http import Sender
from measure.loadtest.arrivals import times
from measure.loadtest.clips import default_mix
from measure.loadtest.drive import drive, plan
from measure.loadtest.target import Clip, Target
from serving import model_servers
from serving.model_servers import Chosen
from serving.service import Service
from serving.temporary import serving, step

PATH = Path("deploy/grafana/recorded.csv.gz")
SEED = 6
SCRAPE_SECONDS = 2.0
LENGTH = 150.0  # s
# (from, to, requests a second): the burst is beyond what the demo model answers on two cores
PHASES = ((5.0, 35.0, 4.0), (35.0, 60.0, 12.0), (60.0, 68.0, 120.0), (80.0, 145.0, 6.0))
KILL_AT = 100.0
BAD_CLIPS = 3  # among the mix of 48


def arrivals() -> list[float]:
    """Send times in seconds from the start."""
    moments: list[float] = []
    for number, (begin, end, rate) in enumerate(PHASES):
        moments += [begin + moment for moment in times("poisson", rate, end - begin, SEED + number)]
    return moments


def record(console: Console, chosen: Chosen) -> Recording:
    """The whole run; the server is one of its own."""
    with (
        tempfile.TemporaryDirectory() as folder,
        serving([sources.resolve("demo")], "record", console, chosen) as service,
        step(console, "record", f"loading it for {LENGTH:.0f} s"),
    ):
        clips = default_mix(Path(folder), SEED)
        for number in range(BAD_CLIPS):
            bad = Path(folder) / f"bad-{number}.flac"
            bad.write_bytes(clips[number].path.read_bytes()[: 200 + number])
            clips.append(Clip(bad.name, bad, 0.0, "audio/flac"))
        target = Target(f"{service.gateway.url}/predictions/demo")
        shots = plan(clips, [target], arrivals(), LENGTH, SEED)
        load = threading.Thread(target=drive, args=(shots,))
        load.start()
        try:
            return scraped(service)
        finally:
            load.join()


def scraped(service: Service) -> Recording:
    """Scrape for the length of the run, and kill a worker meanwhile."""
    moments, texts, killed, exporter = [], [], False, Sender(service.exporter.url)
    start = time.monotonic()
    while (now := time.monotonic() - start) < LENGTH:
        if not killed and now > KILL_AT:
            os.kill(service.server.worker_pids()[0], signal.SIGKILL)
            killed = True
        moments.append(now)
        texts.append(exporter.get("").body.decode())
        time.sleep(max(0.0, SCRAPE_SECONDS - (time.monotonic() - start - now)))  # the scrape's interval
    return of_scrapes(moments, texts)


def main() -> int:
    parser = command.parser("measure.dashboard.record", "Record a run for the dashboard's picture.")
    own = model_servers.DEFAULT.name
    parser.add_argument("--server", choices=model_servers.NAMES, default=own, help="(%(default)s)")
    server = parser.parse_args().server
    path = PATH if server == own else Path(f"build/recorded-{server}.csv.gz")

    def work() -> None:
        write(record(command.console(), Chosen(server)), path)
        print(f"wrote {path}")

    return command.guarded("record", work)


if __name__ == "__main__":
    sys.exit(main())
