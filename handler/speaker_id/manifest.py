"""What a checkpoint folder must contain, byte for byte, and where it came from.

`bundle.convert` writes the manifest once; `verify` compares the folder with it at every load, so that a corrupted,
replaced or added file ends the start instead of answering with other weights.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

MANIFEST_FILE = "manifest.json"
CONFIG_FILE = "config.json"
PREPROCESSOR_FILE = "preprocessor_config.json"
WEIGHTS_FILE = "model.safetensors"
LABELS_FILE = "labels.csv"  # optional: display names of the labels
GUARD_FILE = "guard.safetensors"  # optional: what tells strangers from the labels
# Replaces masked frames in training (SpecAugment); a forward pass in eval mode never reads it. transformers leaves it
# out of the model when the config switches masking off, and then the checkpoint's copy has no counterpart.
TRAINING_ONLY = "masked_spec_embed"
TEXT_FILES = (CONFIG_FILE, PREPROCESSOR_FILE)
REQUIRED_FILES = (CONFIG_FILE, PREPROCESSOR_FILE, WEIGHTS_FILE)

# formats whose reading runs code, or may; safetensors' cannot
PICKLE_SUFFIXES = frozenset(
    {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".npz", ".h5"}
)


# One label vector for one recording. The packed encoder computes the first two, the reference encoder all of them.
SUPPORTED_ARCHITECTURES = {
    "wav2vec2": "Wav2Vec2ForSequenceClassification",
    "hubert": "HubertForSequenceClassification",
    "wavlm": "WavLMForSequenceClassification",
    "unispeech-sat": "UniSpeechSatForSequenceClassification",
    "data2vec-audio": "Data2VecAudioForSequenceClassification",
    "wav2vec2-conformer": "Wav2Vec2ConformerForSequenceClassification",
    "wav2vec2-bert": "Wav2Vec2BertForSequenceClassification",
}
# One embedding for one recording: a head beside classifiers, or a model by itself. The packed encoder computes it too.
XVECTOR_ARCHITECTURES = {"wav2vec2": "Wav2Vec2ForXVector"}


class CheckpointError(Exception):
    """The checkpoint cannot be served: one line for the operator. It ends the start; no request sees it."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class FileRecord(BaseModel):
    """One file's SHA-256 (64 lower-case hex digits) and its size in bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(ge=0)]

    @classmethod
    def of(cls, path: Path) -> FileRecord:
        """Hash a file, read in pieces; a checkpoint of 380 MB takes well under a second."""
        with path.open("rb") as file:
            digest = hashlib.sha256()
            while piece := file.read(1 << 20):
                digest.update(piece)
            return cls(sha256=digest.hexdigest(), bytes=file.tell())


class PrecisionCheck(BaseModel):
    """How a reduced precision compared with fp32 when the archive was built.

    Attributes:
        precision: which one.
        clips: calibration clips compared.
        calibration: SHA-256 over their names and contents.
        agreement: share of them whose best label is the same, 0 to 1; of several heads, the smallest share.
        threshold: the smallest share that was accepted.
        largest_drift: largest change of any label's score, 0 to 1.
        median_drift: median over clips of the largest change of a score.
        least_similarity: smallest cosine of the two precisions' x-vectors of a clip; None without one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    precision: str
    clips: int
    calibration: str
    agreement: float
    threshold: float
    largest_drift: float
    median_drift: float
    least_similarity: float | None = None


Method = Literal[
    "msp", "max_logit", "energy", "mahalanobis", "relative", "cosine"
]  # `guard` says what each is


class GuardCard(BaseModel):
    """What gives a classifier "unknown" as one more label.

    Attributes:
        file: the guard's name, beside the manifest.
        method: which of its methods decides.
        fpir: share of strangers' clips that may get a label, for a request that does not say.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    method: Method
    fpir: Annotated[float, Field(gt=0, lt=1)]


class HeadCard(BaseModel):
    """One of several heads of a checkpoint: its files beside the manifest, and its own provenance.

    Attributes:
        source: hub id, or the name of the local folder.
        revision: full commit id on the hub; None for a local folder.
        licence: of its weights, in a line.
        config, weights, labels: names of its files, the first head's being the checkpoint's own; labels is None without
            display names.
        groups: how many labels each of its classifiers has, in order; empty where it has one.
        normalised: whether waveforms are normalised for it.
        sampling_rate: in Hz.
        source_files: the fetched files that it was made from.
        guard: None for a head that has no "unknown".
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    revision: str | None = None
    licence: str = ""
    config: str
    weights: str
    labels: str | None = None
    groups: dict[str, int] = {}
    normalised: bool
    sampling_rate: int
    source_files: dict[str, FileRecord] = {}
    guard: GuardCard | None = None

    def identity(self) -> str:
        """Return what names these weights and no others: the commit, or the SHA-256 of the file that they came from."""
        return self.revision or weights_of(self.source_files)


class GalleryCard(BaseModel):
    """Enrolled voices, one more head of the checkpoint.

    Attributes:
        head: its name; empty where the model has no other labels, and answers as one of one head.
        file: its name beside the manifest.
        voices: how many.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    head: str
    file: str
    voices: int


def weights_of(files: Mapping[str, FileRecord]) -> str:
    """Return the SHA-256 of the weights among source files; empty if there are none."""
    return next((record.sha256 for name, record in files.items() if name not in TEXT_FILES), "")


class Manifest(BaseModel):
    """Provenance of one checkpoint, and the hash of every file that the archive carries for it.

    Attributes:
        name: the name it is served under.
        source: hub id, or the name of the local folder, never its whole path.
        revision: full commit id on the hub; None for a local folder.
        demo: True for a model that must be labelled a demo wherever it is shown.
        files: the files beside the manifest, by name.
        source_files: the fetched files that these were made from.
        libraries: versions that wrote it, by distribution name.
        precision: the check that a reduced precision passed; None for fp32.
        heads: several heads that share this checkpoint's backbone, in order; empty for a checkpoint of one model.
        guard: of a checkpoint of one model; None for one that has no "unknown".
        gallery: None without enrolled voices.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    source: str
    revision: str | None = None
    licence: str = ""
    description: str = ""
    demo: bool = False
    files: dict[str, FileRecord]
    source_files: dict[str, FileRecord] = {}
    libraries: dict[str, str] = {}
    precision: PrecisionCheck | None = None
    heads: dict[str, HeadCard] = {}
    guard: GuardCard | None = None
    gallery: GalleryCard | None = None

    def guards(self) -> dict[str, GuardCard | None]:
        """Return what each head has, in order; "" is the only one of a checkpoint of one model."""
        return {name: head.guard for name, head in self.heads.items()} or {"": self.guard}

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read a folder's manifest. Raises CheckpointError if it is missing or invalid."""
        try:
            return cls.model_validate_json((folder / MANIFEST_FILE).read_bytes())
        except OSError as exc:
            raise CheckpointError(
                f"{MANIFEST_FILE} is missing from the checkpoint: build the archive again with `make archive`"
            ) from exc
        except ValidationError as exc:
            fault = exc.errors()[0]
            where = ".".join(str(part) for part in fault["loc"]) or "the file"
            raise CheckpointError(
                f"{MANIFEST_FILE} is damaged: {where}: {fault['msg']}; build the archive again"
            ) from exc

    def write(self, folder: Path) -> None:
        (folder / MANIFEST_FILE).write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")


def verify(folder: Path) -> Manifest:
    """Compare every file of the folder with its manifest.

    Raises:
        CheckpointError: names the first file that is missing, not listed, a pickle, or of another size or hash.
    """
    manifest = Manifest.read(folder)
    for name in REQUIRED_FILES:
        if name not in manifest.files:
            raise CheckpointError(f"{MANIFEST_FILE} does not list {name}: build the archive again")
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in PICKLE_SUFFIXES:
            raise CheckpointError(
                f"{path.name} may be a pickle, which runs code when read; only safetensors is served"
            )
        if path.name not in manifest.files and path.name != MANIFEST_FILE:
            raise CheckpointError(
                f"{path.name} is in the checkpoint but not in {MANIFEST_FILE}: remove it or rebuild"
            )
    for name, expected in sorted(manifest.files.items()):
        path = folder / name
        if path.parent != folder or not path.is_file():
            raise CheckpointError(f"{name} is missing from the checkpoint, but {MANIFEST_FILE} lists it")
        size = path.stat().st_size
        if size != expected.bytes:
            raise CheckpointError(
                f"{name} has {size} bytes, {MANIFEST_FILE} says {expected.bytes}: truncated or swapped"
            )
        found = FileRecord.of(path)
        if found.sha256 != expected.sha256:
            raise CheckpointError(
                f"{name} has SHA-256 {found.sha256[:12]}…, {MANIFEST_FILE} says {expected.sha256[:12]}…: "
                "corrupted or swapped"
            )
    return manifest


def check_config(content: bytes) -> dict[str, Any]:
    """Parse a `config.json`. Raises CheckpointError unless it describes a supported audio classifier."""
    try:
        config = json.loads(content)
    except ValueError as exc:
        raise CheckpointError(f"{CONFIG_FILE} is not JSON: {exc}") from exc
    if not isinstance(config, dict):
        raise CheckpointError(f"{CONFIG_FILE} holds a {type(config).__name__}, not an object")
    model_type, architectures = config.get("model_type"), config.get("architectures")
    if not isinstance(model_type, str) or model_type not in SUPPORTED_ARCHITECTURES:
        allowed = ", ".join(sorted(SUPPORTED_ARCHITECTURES))
        raise CheckpointError(f"{CONFIG_FILE} has model_type {model_type!r}; served are: {allowed}")
    expected = SUPPORTED_ARCHITECTURES[model_type]
    if architectures != [expected] and not is_xvector(config):
        raise CheckpointError(
            f"{CONFIG_FILE} has architectures {architectures!r}: not an audio classification checkpoint; "
            f"one of {model_type} says [{expected!r}]"
        )
    return config


def is_xvector(config: Mapping[str, Any]) -> bool:
    """Return whether a `config.json` is of an x-vector model."""
    architecture = XVECTOR_ARCHITECTURES.get(config["model_type"])
    return architecture is not None and config.get("architectures") == [architecture]


def backbone_prefix(model_type: str) -> str:
    """Return the beginning of the names of a checkpoint's tensors that are the backbone's, as transformers has it."""
    return model_type.replace("-", "_") + "."
