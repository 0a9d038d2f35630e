"""What is served, as model.yaml says it: a model's name, its source, and the settings it is served with."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator
from speaker_id.manifest import GUARD_FILE, GuardCard, Method
from speaker_id.settings import ALL_HEADS, HEAD_NAME, HEAD_NAME_RULE, Settings

from bundle import shipped
from bundle.rates import rate

SPEC_FILE = "model.yaml"
SHORT_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")  # what both torch-model-archiver and a URL path accept
NAME_RULE = "a-z, 0-9, '.', '_' and '-', beginning with a letter or digit"
SHA256 = r"^[0-9a-f]{64}$"


def answer_seconds(response_timeout: int) -> int:
    """Seconds from a request's whole arrival to its whole answer, after which nobody waits for it: those of one full
    batch in the queue before its own, those of its own, and a minute."""
    return 2 * response_timeout + 60


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
        default=2,
        ge=1,
        description="Milliseconds that a free worker waits for a batch to fill; a lone request pays all of it. "
        "Too high: idle latency grows and throughput falls (100 is wrong, under load the queue fills batches by "
        "itself). Too low: at 1 TorchServe, which counts whole milliseconds, cuts some batches short; below 1 it "
        "ignores the value.",
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


class UnknownSpec(BaseModel):
    """What tells strangers from a head's labels, as `make guard` calibrated it.

    Attributes:
        method: which of its methods decides.
        fpir: share of strangers' clips that may get a label, for a request that does not say: 1% or 0.01.
        file: of the guard.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Method = "mahalanobis"
    fpir: Annotated[float, BeforeValidator(rate)] = 0.01
    file: Path


def guard_file(head: str = "") -> str:
    """Name of the guard of a head beside model.yaml; of a model of one head without a name."""
    return f"guard-{head}.safetensors" if head else GUARD_FILE


class HeadSpec(BaseModel):
    """One of several heads that share a backbone; `heads:` of model.yaml has its hub id or folder, or these keys.

    Attributes:
        source, revision, licence, files, labels: as for a model.
        groups: how many labels each of its classifiers has, in the logits' order, where it has several.
        unknown, folder, lock: as for a model.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    revision: Annotated[str, Field(min_length=1)] | None = None
    licence: str = ""
    files: dict[str, Annotated[str, Field(pattern=SHA256)] | None] = {}
    labels: Path | None = None
    groups: dict[str, Annotated[int, Field(ge=1)]] = {}
    unknown: UnknownSpec | None = None
    folder: Path | None = None
    lock: Path | None = None


class GallerySpec(BaseModel):
    """Enrolled voices, one more head; `gallery:` of model.yaml has the file's path, or these keys.

    Attributes:
        file: what `make enrol` wrote, or its folder.
        head: name of the head.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: Path
    head: str = "enrolled"

    @field_validator("head")
    @classmethod
    def _plain(cls, head: str) -> str:
        if not HEAD_NAME.fullmatch(head) or "." in head:
            raise ValueError(f"{head!r} cannot be a head's name: use a-z, 0-9 and '_'")
        return head


class ModelSpec(BaseModel):
    """What to serve. `models/NAME/model.yaml` has these keys, except `name`, `folder` and `lock`.

    Attributes:
        name: served at /predictions/NAME.
        version: of the archive, as TorchServe shows it: text, so in quotes.
        source: hub id; `.` for a checkpoint beside this file; `./folder` for one in a folder there. Not with `heads`.
        heads: checkpoints that share a backbone, by name: [heads that share a pass](#heads-that-share-a-pass).
        revision: hub commit, branch or tag; null takes the lock's commit, else `main` on first use.
        description: what the model does, in a line; the archive's manifest has it.
        licence: of the weights, in a line; the archive's manifest has it.
        demo: true for a demonstration: `make serve` says that it knows only its own speakers.
        files: expected source files by name, with their SHA-256 where it is known.
        published: what its authors report, to be compared by `make evaluate`: metric, value, dataset, reported_by.
        labels: display names, a CSV with the columns label and name; its path.
        unknown: method, fpir and file of a guard: [strangers to a head](#strangers-to-a-head).
        gallery: path of [enrolled voices](voices.md), as `make enrol` wrote them; or `{file: …, head: name}`.
        min_agreement: least share of calibration clips on which a precision below fp32 must give fp32's best label.
        folder: the local checkpoint, for a source that is no hub id.
        lock: where the first fetch from the hub is recorded.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)*$")] = "1.0"
    source: str
    heads: dict[str, HeadSpec] = {}
    revision: Annotated[str, Field(min_length=1)] | None = None
    description: str = ""
    licence: str = ""
    demo: bool = False
    files: dict[str, Annotated[str, Field(pattern=SHA256)] | None] = {}
    published: Published | None = None
    labels: Path | None = None
    unknown: UnknownSpec | None = None
    gallery: GallerySpec | None = None
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

    @model_validator(mode="after")
    def _heads_alone(self) -> ModelSpec:
        for name, head in self.heads.items():
            for part in (name, *head.groups):
                if not HEAD_NAME.fullmatch(part) or "." in part or part == ALL_HEADS:
                    raise ValueError(HEAD_NAME_RULE.format(part))
        return self

    def of_head(self, name: str) -> ModelSpec:
        """What fetches and converts one head as if it were a model of its own."""
        head = self.heads[name]
        return ModelSpec(
            name=f"{self.name}.{name}",
            source=head.source,
            revision=head.revision,
            licence=head.licence or self.licence,
            files=head.files,
            labels=head.labels,
            unknown=head.unknown,
            speaker_id=Settings.model_validate({"heads": head.groups}),
            folder=head.folder,
            lock=head.lock,
        )

    def guard_card(self) -> GuardCard | None:
        """What the manifest says of the guard."""
        if self.unknown is None:
            return None
        return GuardCard(file=GUARD_FILE, method=self.unknown.method, fpir=self.unknown.fpir)

    def without_guards(self) -> ModelSpec:
        """The same model as `make guard` calibrates it."""
        heads = {name: head.model_copy(update={"unknown": None}) for name, head in self.heads.items()}
        return self.model_copy(update={"heads": heads, "unknown": None})

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
