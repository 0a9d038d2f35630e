"""The build side: from a model's name to an archive. Nothing here ships inside the archive.

sources   MODEL= → ModelSpec            what to serve and how
lock      the pinned commit and hashes  what was fetched, and what later fetches must match
fetch     ModelSpec → source files      from the hub or a folder, every hash checked
convert   source files → checkpoint     safetensors and a manifest, every tensor accounted for
heads     checkpoints → checkpoint      several heads on one backbone, proven to be one
archive   checkpoint + handler → .mar   what TorchServe loads
"""

from __future__ import annotations


class BundleError(Exception):
    """A build step cannot continue; the message is one line for the terminal that says what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
