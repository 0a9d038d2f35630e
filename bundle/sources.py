"""MODEL= → what to serve: a name under `models/`, a hub id, or the path of a checkpoint folder."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from speaker_id.settings import Settings

from bundle import BundleError, faults, shipped

MODELS = Path("models")
SPEC_FILE = "model.yaml"
LOCK_FILE = "lock.yaml"
UNNAMED_LOCKS = Path("build/locks")  # for hub ids without a folder under models/
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
SHORT_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")  # what both torch-model-archiver and a URL path accept
NAME_RULE = "a-z, 0-9, '.', '_' and '-', beginning with a letter or digit"
VERSION = re.compile(r"[0-9]+([.][0-9]+)*")
VERSIONED = re.compile(r"(?P<model>.+):(?P<version>[^:/]+)")  # as in other:2.0
SHA256 = r"^[0-9a-f]{64}$"

# SUPERB's intent classification: three classifiers in one vector of logits, which no checkpoint's config states
INTENT_MODELS = re.compile(r"superb/.*-superb-ic")
INTENT_HEADS = {"action": 6, "object": 14, "location": 4}


class TorchServeSettings(BaseModel):
    """How TorchServe runs one model; written into model-config.yaml, which overrides config.properties."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    minWorkers: int = Field(
        default=1,
        ge=1,
        description="Worker processes at start. Too high: each holds its own copy of the weights, and they "
        "compete for cores. Too low: decoding and inference do not overlap; two a GPU do.",
    )
    maxWorkers: int = Field(
        default=1,
        ge=1,
        description="Most workers that the management API may scale to. Too high: a mistaken scale-up takes all "
        "memory. Too low: no scaling without a new archive. TorchServe never scales by itself.",
    )
    batchSize: int = Field(
        default=8,
        ge=1,
        description="Most requests that one batch holds. Too high: every caller waits for the slowest of many, and "
        "one fault of the worker fails them all. Too low: the queue drains more slowly under load.",
    )
    maxBatchDelay: int = Field(
        default=5,
        ge=1,
        description="Milliseconds that a free worker waits for a batch to fill; a lone request pays all of it. "
        "Too high: idle latency grows and throughput falls (100 is wrong, under load the queue fills batches by "
        "itself). Too low: below 1 TorchServe ignores the value.",
    )
    responseTimeout: int = Field(
        default=300,
        ge=1,
        description="Seconds that a worker may take over one batch before it is restarted; batchSize × "
        "max_request_seconds of audio must be processed in that time. Too high: callers of a hung worker wait so long. "
        "Too low: a legitimate batch of long clips gets 507 and the worker restarts.",
    )
    startupTimeout: int = Field(
        default=300,
        ge=1,
        description="Seconds from a worker's start to READY, hashing, loading and warm-up included. Too high: a "
        "failing start is noticed late. Too low: with a slow disk no worker gets ready, and TorchServe retries for "
        "ever.",
    )

    @model_validator(mode="after")
    def _workers_in_order(self) -> TorchServeSettings:
        if self.maxWorkers < self.minWorkers:
            raise ValueError(
                f"maxWorkers {self.maxWorkers} is less than minWorkers {self.minWorkers}: raise it, or lower minWorkers"
            )
        return self


class Published(BaseModel):
    """A figure that the model's authors report, for comparison with an evaluation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: str
    value: float
    dataset: str
    reported_by: str


class ModelSpec(BaseModel):
    """What to serve. `models/NAME/model.yaml` has these keys, except `name`, `folder` and `lock`.

    Attributes:
        name: served at /predictions/NAME.
        version: of the archive, as TorchServe shows it: text, so in quotes.
        source: hub id; `.` for a checkpoint beside this file; `./folder` for one in a folder there.
        revision: hub commit, branch or tag; null takes the lock's commit, else `main` on first use.
        description: what the model does, in a line; the archive's manifest has it.
        licence: of the weights, in a line; the archive's manifest has it.
        demo: true for a demonstration: `make serve` says that it knows only its own speakers.
        files: expected source files by name, with their SHA-256 where it is known.
        published: what its authors report, to be compared by `make evaluate`: metric, value, dataset, reported_by.
        labels: display names, a CSV with the columns label and name; its path.
        min_agreement: least share of calibration clips on which a precision below fp32 must give fp32's best label.
        folder: the local checkpoint, for a source that is no hub id.
        lock: where the first fetch from the hub is recorded.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)*$")] = "1.0"
    source: str
    revision: Annotated[str, Field(min_length=1)] | None = None
    description: str = ""
    licence: str = ""
    demo: bool = False
    files: dict[str, Annotated[str, Field(pattern=SHA256)] | None] = {}
    published: Published | None = None
    labels: Path | None = None
    min_agreement: Annotated[float, Field(gt=0, le=1)] = 0.995
    torchserve: TorchServeSettings = TorchServeSettings()
    speaker_id: Settings = Settings.model_validate({})
    folder: Path | None = None
    lock: Path | None = None

    @field_validator("name")
    @classmethod
    def _safe_name(cls, name: str) -> str:
        if not SHORT_NAME.fullmatch(name):
            raise ValueError(f"{name!r} cannot be a model's name: use {NAME_RULE}")
        return name

    @field_validator("speaker_id")
    @classmethod
    def _answers_that_pass(cls, speaker_id: Settings) -> Settings:
        most = shipped.shipped("max_response_size")
        if speaker_id.max_response_bytes > most:
            raise ValueError(
                f"max_response_bytes {speaker_id.max_response_bytes} is more than config.properties' max_response_size "
                f"{most}: TorchServe would end the worker instead of sending such an answer"
            )
        return speaker_id

    def model_config_yaml(self) -> str:
        """The archive's model-config.yaml: every setting in force, each with what too high and too low do."""
        lines = [f"# {self.name}: written by bundle.archive; change it in models/{self.name}/{SPEC_FILE}"]
        lines += _commented(self.torchserve)
        lines += ["", "speaker_id:", *(f"  {line}" if line else "" for line in _commented(self.speaker_id))]
        return "\n".join(lines) + "\n"


def _commented(settings: BaseModel) -> Iterator[str]:
    for name, field in type(settings).model_fields.items():
        yield ""
        yield from textwrap.wrap(field.description or "", 100, initial_indent="# ", subsequent_indent="# ")
        yield f"{name}: {json.dumps(settings.model_dump(mode='json')[name])}"  # JSON's scalars and lists are YAML's


def resolve(model: str, revision: str | None = None, root: Path = MODELS) -> ModelSpec:
    """Resolve MODEL= and REVISION=, for every target alike.

    Args:
        model: a name under `root`; a hub id `org/name`; or the path of a folder that holds a checkpoint.
        revision: commit, branch or tag of a hub model, over the one in model.yaml.

    Raises:
        BundleError: an unknown model, a name that cannot be served, an error in model.yaml.
    """
    spec = _find(model.strip(), root)
    if not revision:
        return spec
    if spec.folder is not None:
        raise BundleError(f"REVISION={revision} is for models on the hub; MODEL={model} is a local folder")
    return spec.model_copy(update={"revision": revision})


def resolve_all(models: str, root: Path = MODELS) -> list[ModelSpec]:
    """Resolve MODELS=: what `resolve` takes, separated by spaces; `NAME:2.0` is served as version 2.0.

    Raises:
        BundleError: as `resolve`; no model, or one name twice.
    """
    specs: list[ModelSpec] = []
    for each in models.split():
        named = VERSIONED.fullmatch(each)
        spec = _find(named["model"] if named else each, root, "MODELS")
        if named:
            spec = with_version(spec, named["version"], f"MODELS={each}")
        if spec.name in {other.name for other in specs}:
            raise BundleError(f"MODELS={models} would serve two models as {spec.name}")
        specs.append(spec)
    if not specs:
        raise BundleError("MODELS= names no model")
    return specs


def with_version(spec: ModelSpec, version: str, asked: str) -> ModelSpec:
    """The same model under another version; raises BundleError if it is not a version."""
    if not VERSION.fullmatch(version):
        raise BundleError(f"{asked}: {version!r} is not a version: numbers with dots between, such as 2.0")
    return spec.model_copy(update={"version": version})


def _find(model: str, root: Path, variable: str = "MODEL") -> ModelSpec:
    if (root / model / SPEC_FILE).is_file() and SHORT_NAME.fullmatch(model):
        return read_spec(root / model)
    path = Path(model).expanduser()
    if model.startswith((".", "/", "~")) or (model and path.is_dir()):
        return _from_folder(path, f"{variable}={model}")
    if model and Path(model).name == model and (root / model).is_dir():
        if not SHORT_NAME.fullmatch(model):
            raise BundleError(
                f"{variable}={model} cannot be a model's name: rename {root}/{model} to {NAME_RULE}"
            )
        raise BundleError(f"{variable}={model}: {root}/{model} has no {SPEC_FILE}")
    found = sorted(file.parent.name for file in root.glob(f"*/{SPEC_FILE}"))
    known = [name for name in found if SHORT_NAME.fullmatch(name)]
    if not HUB_ID.fullmatch(model):
        raise BundleError(
            f"{variable}={model} is not a name under {root}/ ({', '.join(known) or 'none there'}), "
            "a hub id like org/name, or a checkpoint folder like ./name"
        )
    for name in known:
        spec = read_spec(root / name)
        if spec.source == model:  # the same checkpoint under its hub id keeps its settings and its pin
            return spec
    lock = UNNAMED_LOCKS / f"{model.replace('/', '--')}.yaml"
    name = _short_name(model.split("/")[-1], f"{variable}={model}")
    content: dict[str, Any] = {"name": name, "source": model, "lock": lock}
    if INTENT_MODELS.fullmatch(model):
        content["speaker_id"] = {"heads": INTENT_HEADS}
    return _build(content, f"{variable}={model}")


def _from_folder(path: Path, asked: str) -> ModelSpec:
    if not path.is_dir():
        raise BundleError(f"{asked} is not a folder")
    if (path / SPEC_FILE).is_file():
        return read_spec(path)
    folder = path.resolve()
    return _build({"name": _short_name(folder.name, asked), "source": folder.name, "folder": folder}, asked)


def _short_name(last: str, asked: str) -> str:
    name = last.lower()
    if not SHORT_NAME.fullmatch(name):
        raise BundleError(
            f"{asked} would be served as {name!r}, which cannot stand in a URL: rename the folder to {NAME_RULE}"
        )
    return name


def read_spec(folder: Path) -> ModelSpec:
    """Reads `folder/model.yaml`; the folder's name is the model's. Raises BundleError naming file and key."""
    file = folder / SPEC_FILE
    try:
        content: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        raise BundleError(f"{file} is not YAML: {exc}") from exc
    if not isinstance(content, dict):
        raise BundleError(f"{file} must hold keys and values")
    for reserved in ("name", "folder", "lock"):
        if reserved in content:
            raise BundleError(f"{file}: {reserved}: not a key of this file; it follows from the folder")
    content["name"] = _short_name(folder.resolve().name, f"MODEL={folder}")
    source = content.get("source")
    if isinstance(source, str):
        if source.startswith("."):
            content["folder"] = (folder / source).resolve()
            content["source"] = content["folder"].name
        elif HUB_ID.fullmatch(source):
            content["lock"] = folder / LOCK_FILE
        else:
            raise BundleError(
                f"{file}: source: {source!r} is neither a hub id (org/name) nor a folder ('.' or './…')"
            )
    if isinstance(content.get("labels"), str):
        content["labels"] = (folder / content["labels"]).resolve()
        if not content["labels"].is_file():
            raise BundleError(f"{file}: labels: there is no {content['labels'].name} beside it")
    if content.get("folder") and content.get("revision"):
        raise BundleError(f"{file}: revision: only a model on the hub has one, and the source is a folder")
    return _build(content, str(file))


def _build(content: dict[str, Any], where: str) -> ModelSpec:
    try:
        return ModelSpec.model_validate(content)
    except ValidationError as exc:
        raise BundleError(f"{where}: {faults.words(exc)}") from exc
