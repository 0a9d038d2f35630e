"""`make enrol`: python -m bundle.enrolment --model NAME --voices FOLDER [--strangers FOLDER] [--fpir 1%]."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import numpy as np
from speaker_id.gallery_manifest import GALLERY_FILE
from speaker_id.manifest import CheckpointError

from bundle import BundleError, archive
from bundle.command_line import Parser
from bundle.enrolment import options, report
from bundle.enrolment.embedder import Embedder
from bundle.enrolment.enrol import Embedded, check_strangers, enrol
from bundle.enrolment.recordings import Reader, Recording
from bundle.enrolment.sounds import sounds
from bundle.sources import resolve
from bundle.terminal import say


def embedded(embedder: Embedder, recordings: Iterable[Recording]) -> list[Embedded]:
    return [Embedded(each.person, each.name, each.speech, embedder(each.waveform)) for each in recordings]


def main(arguments: list[str] | None = None) -> int:
    parser = Parser(prog="python -m bundle.enrolment", description="Enrol voices: recordings → a gallery.")
    options.add(parser)
    chosen = parser.parse_args(arguments)
    try:
        folder = options.required(chosen.voices, "VOICES", "enrol", "a folder in it for each voice")
        spec = resolve(chosen.model)
        embedder = Embedder(archive.prepare(spec, chosen.checkpoints))
        reader = Reader(embedder.sampling_rate, say)
        voices = reader.voices(folder)
        strangers = reader.strangers(chosen.strangers) if chosen.strangers else []
        check_strangers(voices, strangers)  # before the minutes that embedding takes
        enrolment = enrol(
            {name: embedded(embedder, clips) for name, clips in voices.items()},
            embedded(embedder, strangers),
            embedder.maker,
            chosen.fpir,
            np.stack([embedder(sound) for sound in sounds(embedder.sampling_rate)]),
        )
        out = (chosen.out or options.FILES / spec.name) / GALLERY_FILE
        options.written(out, enrolment.gallery.write)
    except (BundleError, CheckpointError) as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 1
    for line in report.lines(enrolment):
        say(line)
    say(f"{len(voices)} voices: {out} ({out.stat().st_size / 1e3:.1f} kB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
