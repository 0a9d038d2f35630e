"""Trust on first use: the commit and the hashes of the first fetch, which later fetches must match."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from speaker_id.manifest import FileRecord

from bundle import BundleError

HEADER = (
    "# Written by the first fetch of {source}; later fetches refuse anything else.\n"
    "# To move to another commit, delete this file and fetch again.\n"
)


class Lock(BaseModel):
    """One hub model at one commit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    files: dict[str, FileRecord]

    @classmethod
    def read(cls, path: Path) -> Lock | None:
        """None where nothing was fetched yet. Raises BundleError for a file of another form."""
        if not path.is_file():
            return None
        try:
            return cls.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        except (yaml.YAMLError, UnicodeDecodeError, ValidationError) as exc:
            raise BundleError(
                f"{path} is damaged: restore it from git, or delete it and fetch again"
            ) from exc

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        body = yaml.safe_dump(self.model_dump(), sort_keys=False)
        path.write_text(HEADER.format(source=self.source) + body, encoding="utf-8")
