"""One file of one hub commit → its place in the Hugging Face cache, resumed where an earlier attempt stopped.

`hf_hub_download` resumes within one call only: it drops what it has when the call ends, so an interrupted 380 MB
download starts from the beginning. Here the bytes go to `<cache>/…/blobs/<etag>.part` through the same library's
`http_get`, and `hf_hub_download` then finds the finished blob and links it, so the cache stays the one that every tool
shares.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock
from huggingface_hub import (
    constants,
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
    try_to_load_from_cache,
)
from huggingface_hub.errors import FileMetadataError
from huggingface_hub.file_download import http_get, repo_folder_name
from huggingface_hub.utils import build_hf_headers, httpx  # type: ignore[attr-defined]  # exported lazily

from bundle.terminal import say

RESETS = 5  # in a row, each without a byte received


def cached(repo: str, name: str, commit: str) -> Path | None:
    """The file if the cache holds it at this commit; does not use the network."""
    found = try_to_load_from_cache(repo, name, revision=commit)
    return Path(found) if isinstance(found, str) else None


def download(repo: str, name: str, commit: str) -> Path:
    """Fetch one file, with a progress bar, and return its path in the cache.

    Raises:
        httpx.TransportError: the hub cannot be reached, or the connection drops repeatedly.
        HfHubHTTPError: the hub refuses.
        OSError: the disk is full, or cannot be written.
    """
    if (found := cached(repo, name, commit)) is not None:
        return found
    url = hf_hub_url(repo, name, revision=commit)
    metadata = get_hf_file_metadata(url)
    if metadata.etag is None:
        raise FileMetadataError(f"{url} has no ETag")
    cache, folder = Path(constants.HF_HUB_CACHE), repo_folder_name(repo_id=repo, repo_type="model")
    blobs, locks = cache / folder / "blobs", cache / ".locks" / folder
    blobs.mkdir(parents=True, exist_ok=True)
    locks.mkdir(parents=True, exist_ok=True)
    part = blobs / f"{metadata.etag}.part"
    with FileLock(locks / f"{part.name}.lock"):  # two builds at once: the second waits, then finds the blob
        if not (blobs / metadata.etag).exists():
            # the client drops the token where the hub redirects to another host
            resume(url, part, metadata.size, name, build_hf_headers())
            part.replace(blobs / metadata.etag)
    return Path(hf_hub_download(repo, name, revision=commit))


def discard(path: Path) -> None:
    """Remove a file from the cache, its bytes included, so that the next attempt fetches it again."""
    path.resolve().unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def resume(
    url: str, part: Path, size: int | None, name: str, headers: Mapping[str, str] | None = None
) -> None:
    """Complete a file of which earlier attempts left a part.

    Args:
        size: in bytes; None if only the answer says it.
        name: for the progress bar.
        headers: of the request.

    Raises:
        As `download`.
    """
    resets = 0
    while True:
        with part.open("ab") as file:
            start = file.tell()
            if size is not None and start > size:  # cannot be the beginning of this file
                start = file.truncate(0)
            if start:
                say(f"{name}: resuming at {start / 1e6:.1f} MB")
            try:
                http_get(
                    url,
                    file,
                    resume_size=start,
                    headers=dict(headers or {}),
                    expected_size=size,
                    displayed_filename=name,
                )
                return
            except httpx.ReadError:
                # a reset: the only dropped connection after which `http_get` does not resume by itself
                resets = 0 if file.tell() > start else resets + 1
                if resets == RESETS:
                    raise
