"""One model's archive into a folder, for an init container; what is not pinned by a hash is refused.

python -m bundle.deliver --to /mnt/models --model /etc/models/NAME    # model.yaml and lock.yaml of a model on the hub
python -m bundle.deliver --to /mnt/models --archive https://… --sha256 …    # NAME.mar in object storage
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import shutil
import sys
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from speaker_id.manifest import FileRecord

from bundle import BundleError, archived, sources
from bundle.command_line import exit_status
from bundle.lock import Lock
from bundle.spec import SHA256
from bundle.terminal import say

# In the folder itself, whose volume outlives a container: the next attempt resumes. Hidden: a server skips it.
SCRATCH = ".deliver"


def archive(url: str, sha256: str, folder: Path) -> Path:
    """Download an archive of `make archive`, check it, and store it under its model's name.

    Args:
        url: https:// or http://; its query may hold a signature, and appears in no message.
        sha256: of the file, as `sha256sum` prints it.
        folder: where it is stored. One that is there already is left as it is.

    Raises:
        BundleError: it cannot be had, is another file, or no archive of ours.
        OSError: the disk is full, or cannot be written.
    """
    where = _public(url)
    for there in folder.glob("*.mar"):
        if FileRecord.of(there).sha256 == sha256:
            say(f"{there}: already there, with the SHA-256 {sha256[:12]}…")
            return there
    scratch = folder / SCRATCH
    scratch.mkdir(exist_ok=True)
    part = scratch / f"{sha256}.part"
    _download(url, where, part)
    record = FileRecord.of(part)
    if record.sha256 != sha256:
        part.unlink()
        raise BundleError(
            f"{where} has the SHA-256 {record.sha256[:12]}…, but {sha256[:12]}… is asked for: damaged in transit, or "
            "replaced; if it was replaced on purpose, deploy its SHA-256 with it"
        )
    spec = archived.read_any(part)
    made = part.replace(folder / f"{spec.name}.mar")
    shutil.rmtree(scratch)
    say(
        f"{made}: {spec.name} {spec.version}, {record.bytes / 1e6:.1f} MB, SHA-256 {sha256[:12]}… as asked for"
    )
    return made


def model(given: Path, folder: Path) -> Path:
    """Fetch a model from the hub at the commit and with the hashes of its lock.yaml, convert it, and pack its archive.

    Args:
        given: holds its model.yaml and lock.yaml, of several heads a lock each; its name is the model's.
        folder: where NAME.mar is stored.

    Raises:
        BundleError: it has no lock, a file has another hash, it cannot be fetched or converted.
        OSError: the disk is full, or cannot be written.
    """
    spec = sources.resolve(str(given.absolute()))
    for part in [spec.of_head(name) for name in spec.heads] or [spec]:
        if part.lock is not None and Lock.read(part.lock) is None:
            raise BundleError(
                f"{given} has no {part.lock.name}: a container that starts pins nothing, or each could serve another "
                f"model. Run `make archive MODEL={spec.name}` once, check its answers, and deploy the file it writes"
            )
    scratch = folder / SCRATCH
    scratch.mkdir(exist_ok=True)
    if not {"HF_HOME", "HF_HUB_CACHE"} & set(os.environ):
        os.environ["HF_HUB_CACHE"] = str(scratch / "hub")
    from bundle import archive as builder  # the hub client reads the variable when it is imported

    made = builder.build(spec, folder, checkpoints=scratch / "checkpoints")
    shutil.rmtree(scratch)  # twice the weights, which would stay as long as the pod
    return made


def _public(url: str) -> str:
    """An address as it may be logged: without its query and its credentials.

    Raises:
        BundleError: it is of another scheme.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise BundleError(
            f"an archive at {parts.scheme or 'no scheme'}:// cannot be downloaded, only https:// and http://: for a "
            "private bucket of S3, Google or Azure give a presigned URL"
        )
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _download(url: str, where: str, part: Path) -> None:
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]  # exported lazily

    from bundle.download import resume  # the hub's client, without its token

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # its warnings have the whole address
    try:
        resume(url, part, None, where.rpartition("/")[2])
    except HfHubHTTPError as exc:
        status = exc.response.status_code
        if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:  # nothing is missing, as its hash will show
            return
        advice = "has the presigned URL expired?" if status in (401, 403) else "check the address"
        raise BundleError(f"{where}: answered {status}: {advice}") from None
    except httpx.HTTPError as exc:
        raise BundleError(f"{where}: cannot be reached ({type(exc).__name__}): check the network") from None


def deliver(chosen: argparse.Namespace) -> None:
    if not chosen.to.is_dir():
        raise BundleError(f"--to {chosen.to} is no folder: mount a volume there")
    if chosen.model:
        model(chosen.model, chosen.to)
    elif re.fullmatch(SHA256, chosen.sha256):
        archive(chosen.archive, chosen.sha256, chosen.to)
    else:
        raise BundleError(
            f"--sha256 {chosen.sha256!r} is no SHA-256: 64 digits, as `sha256sum NAME.mar` prints it"
        )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bundle.deliver", description="Deliver a pinned model.")
    parser.add_argument("--to", type=Path, required=True, help="the folder that gets NAME.mar")
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--model", type=Path, help="folder of a hub model's model.yaml and lock.yaml")
    given.add_argument("--archive", help="address of NAME.mar, https:// or http://")
    parser.add_argument("--sha256", default="", help="of the archive")
    chosen = parser.parse_args(arguments)
    return exit_status("error", lambda: deliver(chosen), chosen.to)


if __name__ == "__main__":
    sys.exit(main())
