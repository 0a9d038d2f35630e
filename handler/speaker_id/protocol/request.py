"""The types between a server's adapter and the pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from speaker_id.clip import Clip
from speaker_id.settings import ScoreFunction

Bytes = bytes | bytearray
AnswerKind = Literal["ranking", "embedding"]
Form = Literal["ranking", "v1", "v2", "grpc", "tensors"]
BY_NAME: tuple[Form, ...] = ("v2", "grpc", "tensors")  # whose answers are outputs by name
FIELDS = ("label", "score")  # of an entry of a ranking, and the v2 outputs of one head
# the v2 output of a model's embedding, and the value of the option `output` that asks for it
EMBEDDING = "embedding"
Ranking = list[dict[str, Any]]  # [{"label": str, "score": float}, …], best first
Class = tuple[float, int, str]  # score, index among the labels, label
Embedding = list[float]  # of length 1
# of one clip: the classifier's ranking, or one for each head, by its name
Rankings = Ranking | dict[str, Ranking]


@dataclass(frozen=True)
class Tensors:
    """What a caller sent as tensors of the server's own, in place of a body.

    Attributes:
        audio: whole audio files, one a clip.
        waveforms: float32, (clips, samples); None where there are none.
        parameters: of the request: options, and the waveforms' sampling_rate.
        outputs: names of the tensors to answer with; none where the caller names none.
    """

    audio: Sequence[Bytes] = ()
    waveforms: npt.NDArray[np.float32] | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Payload:
    """What an adapter hands over for one caller.

    Attributes:
        parts: named parts of the body, as bytes. A body without parts is one part named "body".
        headers: request headers; given with names in any case, kept with names in lower case.
        path: what follows the model's name and version in the URL, such as "top_k/3".
        received: when the server received the request, in seconds since the epoch; None if it does not say.
        within: seconds from then after which the server stops waiting for the answer.
        query: the URL's query, such as "top_k=3".
        key: what the gateway calls the request, the same at each attempt, and no other; empty without a gateway.
        tensors: in place of a body, where the server has parsed it; the answer is tensors too.
        form: content type of a body that is a multipart form and is not parsed yet, or of a gRPC message; empty for
            any other.
    """

    parts: Mapping[str, Bytes]
    headers: Mapping[str, str] = field(default_factory=dict)
    path: str = ""
    received: float | None = None
    within: float | None = None
    form: str = ""
    query: str = ""
    key: str = ""
    tensors: Tensors | None = None

    def __post_init__(self) -> None:
        lowered = {name.lower(): value for name, value in self.headers.items()}
        object.__setattr__(self, "headers", lowered)  # it is frozen


@dataclass(frozen=True)
class Options:
    """What a caller may choose. None leaves the choice to the model's settings.

    Attributes:
        top_k: how many labels to list, at least 1; more than there are returns all.
        function_to_apply: how logits become scores.
        heads: names of those to answer with, of a model of several.
        output: what to answer with.
        fpir: share of strangers' clips that may get another label than "unknown", of heads that may answer it.
        min_score: or the probability that a label must reach, against "unknown".
    """

    top_k: int | None = None
    function_to_apply: ScoreFunction | None = None
    heads: tuple[str, ...] | None = None
    output: AnswerKind | None = None
    fpir: float | None = None
    min_score: float | None = None


@dataclass(frozen=True)
class Model:
    """The name and version of the served model."""

    name: str
    version: str


@dataclass(frozen=True)
class Space:
    """What a model's embeddings are; only those of one space can be compared.

    Attributes:
        model: source of the weights that make them: hub id, or the name of the local folder.
        revision: commit on the hub, or SHA-256 of the weights.
        width: how many numbers each has.
    """

    model: str
    revision: str
    width: int

    def described(self) -> dict[str, Any]:
        """Return it as answers name it."""
        return {"model": self.model, "revision": self.revision, "dim": self.width}


@dataclass(frozen=True)
class Output:
    """An output tensor of a v2 answer, or of a server's own.

    Attributes:
        name: `label` or `score`, or of one head as in `action.label`; or `embedding`.
        binary: whether its data follows the JSON as bytes.
        classes: of a `score`: how many of the best to send as "score:index:label"; None for the scores themselves.
    """

    name: str
    binary: bool = False
    classes: int | None = None


@dataclass(frozen=True)
class Request:
    """One caller's request, parsed but not yet decoded.

    Attributes:
        form: how to answer.
        clips: exactly one for a ranking; otherwise any number up to the limit.
        options: the caller's choices.
        id: v2 and gRPC only: echoed.
        outputs: v2, gRPC and tensors only: those asked for, in order.
        timeout: v2 and gRPC only: seconds after which nobody waits for the answer; None if the body does not say.
        heads: names of the heads to answer with; "" for the only one of a model without names.
    """

    form: Form
    clips: tuple[Clip, ...]
    options: Options
    id: str | None = None
    outputs: tuple[Output, ...] = tuple(map(Output, FIELDS))
    timeout: float | None = None
    heads: tuple[str, ...] = ("",)

    @property
    def embeds(self) -> bool:
        """Whether it asks for the embedding, alone or beside rankings."""
        if self.form in BY_NAME:
            return any(output.name == EMBEDDING for output in self.outputs)
        return self.options.output == EMBEDDING

    @property
    def ranked(self) -> tuple[str, ...]:
        """Names of the heads that it gets a ranking of; "" for the only one without a name."""
        if self.form in BY_NAME:
            named = (output.name.rpartition(".")[0] for output in self.outputs if output.name != EMBEDDING)
            return tuple(dict.fromkeys(named))
        return () if self.embeds else self.heads

    def instance(self, index: int) -> int | None:
        """Return the number by which an error names a clip; None for a ranking, which has one clip only."""
        return None if self.form == "ranking" else index
