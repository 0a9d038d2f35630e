"""make fuzz: bytes that libFuzzer makes, led by what they reach in the inspectors, through a real decoder process.

Sniffing runs here, with coverage. What it lets through is decoded in the pool, so that a fault of libsndfile or FFmpeg
ends a decoder and not the run. A body stays in the folder of the corpus if it reached something new; one that met a
fault of its decoder, or an exception that is no request error, goes to the folder of faults.
"""

from __future__ import annotations

import hashlib
import re
import sys
import time
import zipfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["speaker_id.audio"]):
    from speaker_id.audio.sniff import sniff
from speaker_id.clip import EncodedAudio
from speaker_id.decoders import Decoders
from speaker_id.errors import RequestError

from bundle.command_line import Parser
from measure.chaos.attacks import attacks
from measure.chaos.recordings import FORMATS, recording

HERE, BUILD = Path(__file__).parent, Path("build") / "fuzz-audio"
CORPUS, FAULTS, KEPT = BUILD / "corpus", BUILD / "faults", HERE / "corpus.zip"
LONGEST = 4096  # bytes of a body
MOST_SECONDS = 5.0  # of audio
CPU_SECONDS = 4.0  # for so few bytes
SLOW = 1.0  # CPU seconds of sniffing
MOST_KEPT, LONGEST_KEPT = 100, 1024  # bodies, and bytes of one, that stay as tests


def main() -> None:
    parser = Parser(prog="make fuzz", description="Fuzz the inspectors and the decoders.")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument(
        "--keep", action="store_true", help=f"pack small bodies of the corpus into {KEPT.name}"
    )
    args = parser.parse_args()
    if args.keep:
        keep()
        return
    for folder in (CORPUS, FAULTS):
        folder.mkdir(parents=True, exist_ok=True)
    seed()
    Fuzzer(args.minutes).run()


def seed() -> None:
    """Recordings of a moment in every format, and the smallest attacks."""
    bodies = [recording(name, 0.03) for name in FORMATS]
    for attack in attacks():
        if not attack.honest:
            bodies.append(attack.build(256))
    if KEPT.exists():
        with zipfile.ZipFile(KEPT) as kept:
            bodies += [kept.read(name) for name in kept.namelist()]
    for body in bodies:
        save(CORPUS, body[:LONGEST])


def save(folder: Path, body: bytes, prefix: str = "") -> None:
    (folder / f"{prefix}{hashlib.sha1(body, usedforsecurity=False).hexdigest()}").write_bytes(body)


class Fuzzer:
    """One body after the other, until the time is over."""

    def __init__(self, minutes: float) -> None:
        self._ends = time.monotonic() + 60 * minutes
        self._decoders = Decoders(1, sampling_rate=16_000, max_seconds=MOST_SECONDS).ready()
        self.bodies = self.decoded = 0
        self.faults: dict[str, int] = {}

    def run(self) -> None:
        seconds = max(1, int(self._ends - time.monotonic()))
        options = [
            f"-max_total_time={seconds}",
            f"-max_len={LONGEST}",
            "-print_final_stats=1",
            "-rss_limit_mb=4096",
            f"-artifact_prefix={FAULTS}/",
            "-report_slow_units=60",
        ]
        atheris.Setup([sys.argv[0], str(CORPUS), *options], self.one)
        atheris.Fuzz()

    def one(self, body: bytes) -> None:
        self.bodies += 1
        if self.bodies % 5000 == 0:
            sys.stderr.write(f"{self.bodies} bodies, {self.decoded} decoded, faults: {self.faults}\n")
        began = time.process_time()
        try:
            sniff(body)
        except RequestError:
            return
        except Exception as exc:
            self.note(body, f"exception-{type(exc).__name__}")
            return
        finally:
            if time.process_time() - began > SLOW:
                self.note(body, "slow")
        self.decoded += 1
        try:
            self._decoders.decode(EncodedAudio(body), min_samples=1, cpu_seconds=CPU_SECONDS)
        except RequestError as error:
            if error.fault:
                self.note(body, "-".join(filter(None, error.fault)).replace(" ", "-"))

    def note(self, body: bytes, kind: str) -> None:
        self.faults[kind] = self.faults.get(kind, 0) + 1
        if self.faults[kind] <= 20:
            save(FAULTS, body, f"{kind}-")


def keep() -> None:
    """Bodies that met a fault first, then the smallest of the corpus, a few for each thing that sniffing says."""
    chosen: dict[str, bytes] = {}
    seen: dict[str, int] = {}
    for path in [*sorted(FAULTS.iterdir()), *sorted(CORPUS.iterdir(), key=lambda path: path.stat().st_size)]:
        body = path.read_bytes()
        if len(body) > LONGEST_KEPT or len(chosen) == MOST_KEPT:
            continue
        kind = path.name.rpartition("-")[0] or outcome(body)
        seen[kind] = seen.get(kind, 0) + 1
        if seen[kind] <= 3:
            chosen[hashlib.sha1(body, usedforsecurity=False).hexdigest()[:12]] = body
    with zipfile.ZipFile(KEPT, "w", zipfile.ZIP_DEFLATED) as kept:
        for name, body in sorted(chosen.items()):
            kept.writestr(zipfile.ZipInfo(name), body, zipfile.ZIP_DEFLATED)
    sys.stdout.write(f"{len(chosen)} bodies in {KEPT}\n")


def outcome(body: bytes) -> str:
    """What sniffing says of a body, without its numbers."""
    try:
        return ",".join(media.name for media in sniff(body))
    except RequestError as error:
        return re.sub(r"[\da-f]+\b", "", error.message)


if __name__ == "__main__":
    main()
