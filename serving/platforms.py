"""What cloud platforms give a container, and which option of `serve` each of it becomes: one table.

docs/deploy-clouds.md is written from it, and a test plays each platform's side against the image's entrypoint.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import NamedTuple

# SageMaker kills a container 30 s after SIGTERM, and of the others none says that it waits longer.
KILL_SECONDS = 30
# First "not ready", while requests are still accepted; then a while for those in flight; Java may need the rest to end.
STOPPING = {"--stop-delay": 5, "--grace": 15}


class Kind(Enum):
    """How something is given."""

    ARGUMENT = "argument"
    VARIABLE = "variable"
    FOLDER = "folder"  # one that is not empty


class Given(NamedTuple):
    """One thing that a platform gives.

    Attributes:
        kind, name: what, as its documentation has it.
        option: what it becomes, followed by its value; empty if it only tells which platform this is.
        meaning: for the table in the documents.
    """

    kind: Kind
    name: str
    option: str
    meaning: str


PLATFORMS: dict[str, tuple[Given, ...]] = {
    "Amazon SageMaker": (
        Given(Kind.ARGUMENT, "serve", "", "`docker run IMAGE serve` is how every container is started"),
        Given(Kind.VARIABLE, "SAGEMAKER_BIND_TO_PORT", "--port", "in endpoints of several containers"),
        Given(Kind.FOLDER, "/opt/ml/model", "--weights", "`model.tar.gz`, extracted"),
    ),
    "Vertex AI": (
        Given(Kind.VARIABLE, "AIP_HTTP_PORT", "--port", "the first of the model's `ports`"),
        Given(Kind.VARIABLE, "AIP_HEALTH_ROUTE", "--health-route", "the model's `healthRoute`"),
        Given(Kind.VARIABLE, "AIP_PREDICT_ROUTE", "--predict-route", "the model's `predictRoute`"),
        Given(Kind.VARIABLE, "AIP_STORAGE_URI", "--weights", "a mounted folder; `gs://…` is refused"),
    ),
    "Hugging Face Inference Endpoints": (
        Given(Kind.VARIABLE, "PORT", "--port", "if you set it in the endpoint's environment"),
        Given(Kind.FOLDER, "/repository", "--weights", "the model's repository"),
    ),
    "Azure Machine Learning": (
        Given(Kind.VARIABLE, "AZUREML_MODEL_DIR", "--weights", "the registered model, mounted"),
    ),
}


class Taken(NamedTuple):
    """Something that was given.

    Attributes:
        platform: by whom.
        given: the row of the table.
        value: of the variable, or the folder's path.
    """

    platform: str
    given: Given
    value: str

    @property
    def text(self) -> str:
        """In one line, for the log."""
        becomes = f"{self.given.option} {self.value}: " if self.given.option else ""
        return f"{becomes}{self.given.kind.value} {self.given.name} of {self.platform}"


def found(argument: str | None, environment: Mapping[str, str], root: Path = Path("/")) -> list[Taken]:
    """What of the table was given to this process, in its order.

    Args:
        argument: the word that the command was given besides its options.
        environment: its variables; an empty one is not given.
        root: where the folders are looked for.
    """
    return [
        Taken(platform, given, value)
        for platform, rows in PLATFORMS.items()
        for given in rows
        if (value := _value(given, argument, environment, root))
    ]


def _value(given: Given, argument: str | None, environment: Mapping[str, str], root: Path) -> str | None:
    if given.kind is Kind.ARGUMENT:
        return argument if argument == given.name else None
    if given.kind is Kind.VARIABLE:
        return environment.get(given.name)
    folder = root / given.name.lstrip("/")
    return str(folder) if folder.is_dir() and any(folder.iterdir()) else None


def options(given: list[Taken]) -> Iterator[str]:
    """The words for the command line of `serve`; of two that set the same option, the later one counts."""
    if given:
        for option, seconds in STOPPING.items():
            yield from (option, str(seconds))
    for each in given:
        if each.given.option:
            yield from (each.given.option, each.value)
