"""DATA= → clips with their true speakers: VoxCeleb1 with a split file, a folder `speaker/clip.wav`, or a CSV."""

from __future__ import annotations

import csv
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from clients.identify import SUFFIXES
from measure.evaluation import EvaluationError

SPLIT_FILES = ("veri_test_class.txt", "iden_split.txt")
SPLIT_LINE = re.compile(r"([123])[ \t]+((id\d+)/\S+/\S+\.wav)")
SPLITS = {1: "train", 2: "dev", 3: "test"}
SPEAKER_COLUMNS = ("label", "speaker")
OFFICIAL_SPLIT = "https://github.com/s3prl/s3prl/blob/main/s3prl/downstream/voxceleb1/veri_test_class.txt"


@dataclass(frozen=True)
class LabelledClip:
    """One recording.

    Attributes:
        name: unique in its corpus; what the journal knows it by.
        path: its file, which need not be there: then asking for it fails, and counts.
        speaker: the label that a right answer has.
    """

    name: str
    path: Path
    speaker: str

    def size(self) -> int:
        """In bytes; 0 for a file that is not there."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0


@dataclass(frozen=True)
class Corpus:
    """Clips to evaluate on.

    Attributes:
        name: as people know it; a published figure for `name` may be compared.
        clips: each once.
        total: how many there are when `clips` is a sample of them.
    """

    name: str
    clips: tuple[LabelledClip, ...]
    total: int

    def sample(self, count: int) -> Corpus:
        """`count` clips, always the same ones, and a smaller sample is part of a larger."""

        def key(clip: LabelledClip) -> bytes:
            return hashlib.sha256(clip.name.encode()).digest()

        chosen = set(sorted(self.clips, key=key)[:count])
        return replace(self, clips=tuple(clip for clip in self.clips if clip in chosen))


def load(data: Path, split_file: Path | None = None, split: int = 3) -> Corpus:
    """The clips at `data`.

    Args:
        data: VoxCeleb1's root, a folder with one folder a speaker, or a CSV with the columns clip and label.
        split_file: VoxCeleb1's, if it does not lie in the root.
        split: of VoxCeleb1: 1 train, 2 dev, 3 test.

    Raises:
        EvaluationError: nothing usable is there; says what was looked for.
    """
    if data.is_file():
        return table(data)
    if not data.is_dir():
        raise EvaluationError(f"DATA={data} is neither a folder nor a CSV file")
    split_file = split_file or next((data / name for name in SPLIT_FILES if (data / name).is_file()), None)
    if split_file is not None:
        return voxceleb(data, split_file, split)
    if any(base != data for base in voxceleb_folders(data)):
        raise EvaluationError(
            f"DATA={data} looks like VoxCeleb1, but has no {' or '.join(SPLIT_FILES)}: put it there or name it with "
            f"SPLIT_FILE= ({OFFICIAL_SPLIT})"
        )
    return folder(data)


def voxceleb(root: Path, split_file: Path, split: int) -> Corpus:
    """The clips of one split of VoxCeleb1: lines such as `3 id10001/1zcIwhmdeo4/00001.wav`, files below `*/wav/`."""
    if split not in SPLITS:
        raise EvaluationError(f"SPLIT={split} is none of 1 (train), 2 (dev), 3 (test)")
    bases = voxceleb_folders(root)
    if not bases:
        raise EvaluationError(
            f"DATA={root} has no folders wav/id10001 or */wav/id10001, as VoxCeleb1 unpacks to"
        )
    clips = []
    for number, line in enumerate(read_text(split_file).splitlines(), 1):
        if not line.strip():
            continue
        if (found := SPLIT_LINE.fullmatch(line.strip())) is None:
            raise EvaluationError(f"{split_file}, line {number}: {line!r} is not `3 id10001/video/00001.wav`")
        part, name, speaker = found.groups()
        if int(part) == split:
            places = [base / name for base in bases]
            path = next((place for place in places if place.is_file()), places[0])
            clips.append(LabelledClip(name, path, speaker))
    if clips and not any(clip.size() for clip in clips):
        raise EvaluationError(
            f"none of the {len(clips)} clips of split {split} lies below {bases[0]}: is {root} VoxCeleb1's root?"
        )
    return corpus(f"VoxCeleb1 {SPLITS[split]}", clips, str(split_file))


def voxceleb_folders(root: Path) -> list[Path]:
    """The folders below which VoxCeleb1's speakers lie: dev and test unpack apart."""
    candidates = [root, root / "wav", *sorted(root.glob("*/wav"))]
    return [base for base in candidates if next(base.glob("id1*/*/*.wav"), None)]


def folder(root: Path) -> Corpus:
    """One folder a speaker, named as the model's label, with audio files anywhere below it."""
    speakers = sorted(path for path in root.iterdir() if path.is_dir())
    clips = [
        LabelledClip(path.relative_to(root).as_posix(), path, speaker.name)
        for speaker in speakers
        for path in sorted(speaker.rglob("*"))
        if path.suffix.lower() in SUFFIXES
    ]
    return corpus(root.resolve().name, clips, f"DATA={root}: no speaker/clip.wav below it")


def table(file: Path) -> Corpus:
    """A CSV with the columns clip (a path, relative to the file) and label, or speaker."""
    rows = csv.DictReader(read_text(file).splitlines())
    columns = rows.fieldnames or []
    column = next((name for name in SPEAKER_COLUMNS if name in columns), None)
    if "clip" not in columns or column is None:
        raise EvaluationError(f"{file} must have the columns clip and label; it has {', '.join(columns)}")
    clips = []
    for row in rows:
        if not row["clip"] or not row[column]:
            raise EvaluationError(f"{file}, line {rows.line_num}: clip or {column} is empty")
        clips.append(LabelledClip(row["clip"], file.parent / row["clip"], row[column]))
    name = file.resolve().parent.name if file.stem == "manifest" else file.stem
    return corpus(name, clips, str(file))


def corpus(name: str, clips: Sequence[LabelledClip], where: str) -> Corpus:
    if not clips:
        raise EvaluationError(f"no clips: {where}")
    if twice := repeated(clip.name for clip in clips):
        raise EvaluationError(f"{where} names {twice} twice")
    return Corpus(name, tuple(clips), len(clips))


def slug(name: str) -> str:
    """A corpus's name as it stands in a file's."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def repeated(names: Iterable[str]) -> str | None:
    name, times = Counter(names).most_common(1)[0]
    return name if times > 1 else None


def read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise EvaluationError(f"cannot read {file}: {exc}") from exc
