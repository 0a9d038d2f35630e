"""How one model is served: a frozen object, validated once, built from the `speaker_id:` section of
model-config.yaml and passed in. Each description says what goes wrong when a value is too high or too low."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from speaker_id.plan import AUTO, Plan

# It stands before a dot in the names of v2 outputs. Of several models' heads it may have a group, as in intent.action.
HEAD_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?")
ALL_HEADS = "all"  # what a request says for every head of a model
HEAD_NAME_RULE = f"{{!r}} cannot be a head's name: use a-z, 0-9 and '_', and not {ALL_HEADS!r} alone"
HALF = ("fp16", "float16", "half")
# Bounds on numbers that a caller chooses, which no setting changes; those of a clip are in `clip`. docs/api.md lists
# all of them.
# Of a compressed body: as max_request_size of config.properties for an uncompressed one.
MAX_INFLATED_BYTES = 33_554_432
MAX_GZIP_MEMBERS = 256  # of a compressed body: each costs a copy of what follows it
# Parts of a form, and parameters of a query: the audio and two options, and some more to be rejected by name.
MAX_FIELDS = 16
MAX_PART_HEADERS = 4_096  # bytes of one part's headers: a name, a file name and a type
MAX_DIMENSIONS = 3  # of a tensor: clips, channels, samples
MAX_DATA_URL_HEAD = 256  # characters before the comma: a media type and its parameters
MAX_ID_CHARACTERS = 256  # of a v2 request's id, which the answer repeats
MAX_NAME_CHARACTERS = 256  # of a tensor's name
JSON_LISTS_A_CLIP = 16  # lists and objects: its array and channels; its tensor, shape and parameters
JSON_STRINGS_A_CLIP = 32  # keys and values
JSON_FLAT = 64  # of either, whatever the clips
FPIR = (0.001, 0.5)  # between them open sets have thresholds, beyond them nothing is observed


ScoreFunction = Literal["softmax", "sigmoid", "none"]  # how logits become scores


class Settings(BaseModel):
    """Serving settings of one model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_clip_seconds: float = Field(
        120.0,
        gt=0,
        le=600,
        description="Longest clip that is decoded, in seconds. Too high: attention's cost grows with the square of "
        "the length, and one caller occupies the worker for seconds. Too low: legitimate recordings get 413.",
    )
    max_request_seconds: float = Field(
        240.0,
        gt=0,
        description="Most decoded seconds that one request's clips may have together. Too high: one request of many "
        "clips delays the others in its batch, and a batch of such requests exceeds responseTimeout. Too low: bulk "
        "callers must split their requests.",
    )
    max_request_clips: int = Field(
        64,
        ge=1,
        description="Most clips that one request may carry. Too high: one request of many tiny clips costs much "
        "parsing. Too low: bulk callers must split their requests.",
    )
    max_recording_seconds: float = Field(
        3600.0,
        gt=0,
        le=14_400,
        description="Longest recording that is answered in windows, in seconds. Too high: one recording takes a part "
        "of the worker, and room on the disk, for that much longer. Too low: callers must split their recordings, and "
        "a turn is cut where they do.",
    )
    max_batch_audio_seconds: float = Field(
        120.0,
        gt=0,
        description="Most audio of a micro-batch, which is decoded and encoded at once, in seconds; a larger batch is "
        "processed as several. Too high: peak memory grows with it. Too low: long batches become micro-batches too "
        "small to use the processor fully. One clip longer than this is a micro-batch of its own.",
    )
    decoders: int = Field(
        2,
        ge=1,
        description="Decoder processes of a worker: clips decoded concurrently, while the encoder runs. Too high: "
        "each takes memory, decoded clips accumulate, and they take cores from the encoder. Too low: a batch of "
        "compressed clips waits for its decoding.",
    )
    max_decode_seconds: float = Field(
        5.0,
        gt=0,
        description="Most CPU seconds that decoding one request's clips may take together; clips that are decoded "
        "concurrently get equal shares. A request that is answered in groups has as much for each of them, and a "
        "recording in windows has its own: 5 s and 1/24 of its length. Too high: a few hostile bytes occupy a decoder "
        "and a core that long. Too low: long recordings of many channels get 422 on a slow processor.",
    )
    max_response_bytes: int = Field(
        8 << 20,
        ge=1 << 10,
        description="Largest answer, in bytes; a request for more (clips × outputs × labels) gets 413. Too high: "
        "above max_response_size of config.properties TorchServe ends the worker instead of answering. Too low: bulk "
        "callers of models with many labels must request a smaller top_k.",
    )
    default_top_k: int = Field(
        5,
        ge=1,
        description="How many labels an answer lists when the caller does not say. Too high: larger bodies. Too low: "
        "callers miss the runners-up that they expect from Hugging Face's default of 5.",
    )
    heads: dict[str, Annotated[int, Field(ge=1)]] = Field(
        {},
        description="Classifiers that share one vector of logits, each with its number of labels in the logits' "
        "order: {action: 6, object: 14, location: 4} of the intent classification models. Each is ranked separately "
        "and answered under its name; empty means one classifier over all labels. Too high: a head takes labels of "
        "the next one. Too low: the next one takes labels of this one. A sum other than the checkpoint's number of "
        "labels is an error.",
    )
    open_sets: dict[str, Literal["gallery", "guard"]] = Field(
        {},
        description="Heads that may answer 'unknown', as `make archive` has found them: a gallery of enrolled voices, "
        "or a guard, which adds 'unknown' to the labels of a classifier. An empty name is the only head's. Not to be "
        "set by hand: `gallery` and `unknown` of model.yaml do it. Too many: a head without one is an error when the "
        "model is loaded. Too few: a request cannot say when the answer is unknown.",
    )
    default_head: str = Field(
        "",
        description="The head that answers a request which names none, in the form of a model of one head, so that "
        "heads added to a model break none of its callers: heads=all asks for all of them. Empty means that such a "
        "request is answered by all heads, each under its name. A head that the model does not have is an error.",
    )
    encoder: Literal["packed", "reference"] = Field(
        "packed",
        description="Which encoder serves: packed runs any mix of clips in one pass without padding, reference is "
        "Hugging Face's model one clip at a time. A model that packed cannot compute exactly is served by reference, "
        "and a log line says so.",
    )
    precision: Literal["fp32", "bf16"] = Field(
        "fp32",
        description="Arithmetic of the packed encoder; the head is always fp32. bf16 is about twice as fast on "
        "processors that support it, and changes scores slightly: an archive with it is built only if its answers "
        "agree with fp32's on the calibration clips.",
    )
    kernels: str = Field(
        AUTO,
        description="With which kernels a processor computes the packed encoder: auto times the candidates for the "
        "model's shapes on the worker's own processor at its first start, a second or two before READY, and keeps the "
        "outcome beside the archive. A log line has it in the form that this setting takes, such as "
        "`rows=512 tile=48 fused 3072x768=separate`, which pins it; `fused` alone is what is served unmeasured. A "
        "plan of another processor is slower, and no less exact. Too high numbers of rows and frames: intermediate "
        "results do not fit in the cache. Too low: weights are read more often.",
    )
    torch_threads: int = Field(
        0,
        ge=0,
        description="Threads of one worker's tensor operations; 0 divides the machine's cores evenly among the "
        "model's workers. Too high: workers compete for cores and all slow down. Too low: a single request leaves "
        "cores idle.",
    )
    warmup_seconds: tuple[float, ...] = Field(
        (1.0, 4.0, 15.0),
        description="Lengths of the clips, in seconds, that run before the worker reports READY. Too few, or far from "
        "real traffic: the first requests are slowed by allocation and kernel set-up. Too many: slower starts and "
        "roll-outs.",
    )

    @property
    def closed_heads(self) -> dict[str, int]:
        """Labels of each classifier that the model itself has, without what open sets add."""
        added = {"gallery": None, "guard": 1, "": 0}
        return {
            head: count - more
            for head, count in self.heads.items()
            if (more := added[self.open_sets.get(head, "")]) is not None
        }

    @field_validator("precision", mode="before")
    @classmethod
    def _no_half_precision(cls, precision: object) -> object:
        if precision in HALF:
            raise ValueError(
                f"{precision} ends at 65,504, but logits of published models reach 123,000 (hubert-base-superb-sid): "
                "use bf16, whose range is fp32's"
            )
        return precision

    @field_validator("kernels")
    @classmethod
    def _a_plan(cls, kernels: str) -> str:
        if kernels != AUTO:
            Plan.parse(kernels)
        return kernels

    @field_validator("heads")
    @classmethod
    def _plain_names(cls, heads: dict[str, int]) -> dict[str, int]:
        for name in heads:
            if not HEAD_NAME.fullmatch(name) or name == ALL_HEADS:
                raise ValueError(HEAD_NAME_RULE.format(name))
        return heads

    @property
    def output_heads(self) -> tuple[str, ...]:
        """What stands before the dot in the names of v2 outputs; "" for outputs without one: those of the only head, or
        of the default one, which has them under its name too."""
        unnamed = ("",) if self.default_head or not self.heads else ()
        return (*unnamed, *self.heads)

    def check_default_head(self, heads: Iterable[str]) -> None:
        """Raise ValueError if the default head is none of `heads`: all of the model's answers, "" one without a name.

        Not when the settings are made: those of model.yaml do not have the heads that `make archive` finds.
        """
        named = [head for head in heads if head]
        if self.default_head and self.default_head not in named:
            fault = (
                f" is no head that has labels: {', '.join(named)}" if named else ": it has no heads by name"
            )
            raise ValueError(f"default_head {self.default_head!r}{fault}")
