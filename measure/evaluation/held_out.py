"""The demo model's held-out clips, those that its card counts, as a folder speaker/clip.wav:

python -m measure.evaluation.held_out build/held-out
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from measure import workload
from training import WORK_DIR
from training.corpus import Corpus, load
from training.evaluate import MIN_SECONDS


def write(corpus: Corpus, folder: Path) -> int:
    """Every test clip of 1.5 s and more, sample for sample; gives their number."""
    clips = corpus.select("test", MIN_SECONDS)
    for clip in clips:
        name = f"{clip.voice.language}-{clip.prompt.replace('/', '-')}.wav"
        target = folder / clip.voice.speaker / name
        target.parent.mkdir(parents=True, exist_ok=True)
        pcm = corpus.samples[clip.offset : clip.offset + clip.length]
        target.write_bytes(workload.wav(pcm))
    return len(clips)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m measure.evaluation.held_out", description="Write the held-out clips."
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--work", type=Path, default=WORK_DIR, help="what `make demo-model` left (%(default)s)"
    )
    options = parser.parse_args(arguments)
    if not (options.work / "samples.npy").is_file():
        print(f"held_out: there is no corpus in {options.work}: run `make demo-model` first", file=sys.stderr)
        return 1
    count = write(load(options.work), options.folder)
    print(f"{count} clips in {options.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
