"""The build side: from a model's name to a running server. Nothing here ships inside an archive.

sources   MODEL= → ModelSpec            what to serve and how
lock      the pinned commit and hashes  what exactly was fetched, and must be fetched again
fetch     ModelSpec → source files      from the hub or a folder, every hash checked
convert   source files → checkpoint     safetensors and a manifest, every tensor accounted for
archive   checkpoint + handler → .mar   what TorchServe loads
"""

from __future__ import annotations


class BundleError(Exception):
    """A build step cannot go on: one line for the person at the terminal, saying what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
