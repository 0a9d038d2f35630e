"""Recordings of ``people`` → a clip table and waveforms, as ``corpus`` has them of the six named voices.

    python -m training.people_corpus [--debs DIR] [--work build/training]    also writes training/people.md

Many of these are single words. What is too short to be used alone is joined with its neighbours (in the order of
their names) into clips of about three seconds, each recording in one clip only, so a clip always is one person.
"""

import argparse
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import av
import numpy as np
from rich.progress import track

from training import SAMPLE_RATE, card, packages, variants
from training.corpus import FRAME, SILENCE_RMS, SPEECH_FLOOR_DB, Clip, Corpus, load_clips, save_clips
from training.people import PACKAGES, PEOPLE, ROLES, Person
from training.waveform import CONTAINERS, Pcm, Waveform, decode, resample, to_pcm

FOLDER = "people"  # below the work folder
PAGE = Path(__file__).with_name("people.md")
BEGIN, END = "<!-- written by python -m training.people_corpus -->", "<!-- to here -->"
CODED = ("telephone", "amr", "mu_law")  # variants that `joint` trains on
JOINED_SECONDS = 3.0  # recordings are joined until a clip is this long
MAX_PERSON_SECONDS = 240.0  # the longest voices must not outweigh the others
UNREADABLE = (
    av.FFmpegError,
    UnicodeDecodeError,
)  # a few files are no audio, or in a codec FFmpeg has not finished
MOST = 16  # clips of one person that measure or set thresholds
PROBED = 40  # files that tell the usual rate
PAUSE = FRAME * 5  # 100 ms left of the silence at either end of a recording
MIN_WORD_SECONDS = 0.15
PEAK = 0.5  # words of one clip are brought to one level


def recordings(person: Person, work: Path) -> list[Path]:
    """The files of ``person``, sorted by name."""
    folder = work / "packages" / person.package / person.folder
    wanted = re.compile(person.files)
    return sorted(
        path for path in folder.rglob("*") if path.is_file() and wanted.search(f"/{path.relative_to(folder)}")
    )


def trimmed(waveform: Waveform) -> Waveform:
    """Without the silence at either end, but for a short pause."""
    frames = waveform[: len(waveform) // FRAME * FRAME].reshape(-1, FRAME)
    if not len(frames):
        return waveform[:0]
    rms = np.sqrt(np.square(frames).mean(axis=1))
    loud = np.flatnonzero(rms > max(SILENCE_RMS, rms.max() * 10 ** (SPEECH_FLOOR_DB / 20)))
    if not len(loud):
        return waveform[:0]
    return waveform[max(0, loud[0] * FRAME - PAUSE) : (loud[-1] + 1) * FRAME + PAUSE]


def rate_of(path: Path) -> int:
    """A file's sampling rate in Hz; 0 for one that FFmpeg cannot read."""
    try:
        with av.open(str(path), format=CONTAINERS.get(path.suffix)) as container:
            return int(container.streams.audio[0].codec_context.sample_rate)
    except (*UNREADABLE, IndexError):
        return 0


def words(person: Person, work: Path) -> Iterator[tuple[str, Waveform]]:
    """(name, trimmed waveform) of every recording at the person's usual rate.

    A file at another rate is from another microphone, and in volunteers' folders often from another volunteer.
    """
    usual = 0
    seen: set[bytes] = set()
    paths = recordings(person, work)
    rates = Counter(rate for rate in map(rate_of, paths[:: max(1, len(paths) // PROBED)]) if rate)
    if rates:
        usual = rates.most_common(1)[0][0]
    for path in paths:
        if rate_of(path) != usual:
            continue
        try:
            waveform, rate = decode(path)
        except UNREADABLE:
            continue
        content = waveform.tobytes()
        if content not in seen:  # a recording under several names counts once
            seen.add(content)
            word = trimmed(resample(waveform, rate))
            if len(word) >= MIN_WORD_SECONDS * SAMPLE_RATE:
                yield path.stem.lower(), word * np.float32(PEAK / np.abs(word).max())


def clips(person: Person, work: Path) -> list[tuple[str, Pcm]]:
    """(name of the first recording, samples) of each clip."""
    joined: list[tuple[str, Pcm]] = []
    parts: list[Waveform] = []
    first, seconds = "", 0.0
    for name, word in words(person, work):
        first = first or name
        parts.append(word)
        if sum(map(len, parts)) >= JOINED_SECONDS * SAMPLE_RATE:
            joined.append((first, to_pcm(np.concatenate(parts))))
            seconds += len(joined[-1][1]) / SAMPLE_RATE
            first, parts = "", []
        if seconds >= MAX_PERSON_SECONDS:
            return joined
    if parts:
        joined.append((first, to_pcm(np.concatenate(parts))))
    return joined


def build(work: Path) -> Corpus:
    """Decodes everybody's recordings below ``work`` and saves ``clips.csv`` and ``samples.npy`` in ``work/people``."""
    people = sorted(
        PEOPLE, key=lambda person: ROLES.index(person.role)
    )  # training clips first, as variants want
    with ProcessPoolExecutor() as pool:
        found = list(
            track(
                pool.map(clips, people, [work] * len(people)), "decoding", total=len(people), transient=True
            )
        )
    table: list[Clip] = []
    offset = 0
    for person, spoken in zip(people, found, strict=True):
        for name, pcm in spoken:
            table.append(Clip(person, name, person.role, offset, len(pcm)))
            offset += len(pcm)
    corpus = Corpus(tuple(table), np.concatenate([pcm for spoken in found for _, pcm in spoken]))
    (work / FOLDER).mkdir(exist_ok=True)
    save_clips(corpus, work / FOLDER)
    return corpus


def load(work: Path) -> Corpus:
    """The corpus ``build`` saved."""
    return load_clips(work / FOLDER, PEOPLE)


def spread(clips: Iterable[Clip]) -> list[Clip]:
    """At most ``MOST`` clips of each person: the longest voices must not outweigh the others."""
    of: dict[str, list[Clip]] = {}
    for clip in clips:
        of.setdefault(clip.voice.speaker, []).append(clip)
    places = {name: np.linspace(0, len(mine) - 1, min(len(mine), MOST)) for name, mine in of.items()}
    return [mine[place] for name, mine in of.items() for place in sorted({round(x) for x in places[name]})]


def table(corpus: Corpus) -> str:
    """Everybody, as Markdown: who, from where, under which licence, how much speech, for what."""
    versions = {package.name: package.version for package in PACKAGES}
    rows = []
    for person in sorted(PEOPLE, key=lambda person: ROLES.index(person.role)):
        mine = [clip for clip in corpus.clips if clip.voice == person]
        seconds = f"{sum(clip.seconds for clip in mine):.0f}"
        package = f"`{person.package}`", f"`{versions[person.package]}`"
        who = person.credit or "not named"
        rows.append(
            (
                person.role,
                f"`{person.speaker}`",
                who,
                person.language,
                *package,
                person.licence,
                seconds,
                len(mine),
            )
        )
    header = ("use", "voice", "who", "language", "package", "version", "licence", "seconds", "clips")
    return card.table(header, rows)


def write(corpus: Corpus, page: Path = PAGE) -> None:
    """Writes the table between the page's markers."""
    before, begin, rest = page.read_text().partition(BEGIN)
    page.write_text(before + begin + "\n" + table(corpus) + END + rest.partition(END)[2])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    packages.add_arguments(parser)
    options = parser.parse_args()
    try:
        packages.extract(options.work, debs=options.debs, any_version=options.any_version, packages=PACKAGES)
    except packages.PackageError as error:
        parser.exit(1, f"{error}\n")
    built = build(options.work)
    variants.build(built, options.work / FOLDER, CODED)
    write(built)
