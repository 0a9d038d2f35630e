"""What refers to an image in a registry: its bill of materials, stored and found as OCI's specification 1.1 has it."""

from __future__ import annotations

import hashlib
import json
from http import HTTPStatus
from typing import Any

import requests

OCI_MANIFEST, OCI_INDEX = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
)
MANIFESTS = ("application/vnd.docker.distribution.manifest.v2+json", OCI_MANIFEST)
BILL, EMPTY = "application/vnd.cyclonedx+json", "application/vnd.oci.empty.v1+json"
SECONDS = 60


def attach(repository: str, digest: str, bill: bytes) -> str:
    """Attach a bill of materials to an image.

    Args:
        repository: `https://host/v2/name`.
        digest: of the image's manifest or index.
        bill: CycloneDX.

    Returns:
        The digest of the artifact.

    Raises:
        requests.RequestException: the registry refuses it.
    """
    answer = requests.head(
        f"{repository}/manifests/{digest}",
        headers={"accept": ", ".join((*MANIFESTS, OCI_INDEX))},  # an index where docker built it by hand
        timeout=SECONDS,
    )
    answer.raise_for_status()
    subject = descriptor(answer.headers["content-type"], digest, int(answer.headers["content-length"]))
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": BILL,
        "config": upload(repository, b"{}", EMPTY),
        "layers": [upload(repository, bill, BILL)],
        "subject": subject,
    }
    content = json.dumps(manifest, sort_keys=True).encode()
    made, listed = put(repository, digest_of(content), content, OCI_MANIFEST)
    if not listed:
        entry = descriptor(OCI_MANIFEST, made, len(content)) | {"artifactType": BILL}
        # the tag is shared: what others attached, a signature for one, stays
        entries = [each for each in listed_by_tag(repository, digest) if each["digest"] != made] + [entry]
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
        put(repository, digest.replace(":", "-"), json.dumps(index, sort_keys=True).encode(), OCI_INDEX)
    return made


def listed_by_tag(repository: str, digest: str) -> list[dict[str, Any]]:
    """What refers to an image, by the tag that the specification has for registries that do not list it."""
    try:
        answer = _get(f"{repository}/manifests/{digest.replace(':', '-')}", OCI_INDEX)
    except requests.HTTPError as exc:
        if exc.response.status_code == HTTPStatus.NOT_FOUND:
            return []
        raise
    found: list[dict[str, Any]] = answer.json()["manifests"]
    return found


def attached(repository: str, digest: str) -> bytes:
    """The bill of materials that refers to an image, by the tag; empty without one."""
    bills = [each for each in listed_by_tag(repository, digest) if each.get("artifactType") == BILL]
    if not bills:
        return b""
    manifest = _get(f"{repository}/manifests/{bills[-1]['digest']}", OCI_MANIFEST).json()
    return _get(f"{repository}/blobs/{manifest['layers'][0]['digest']}", "*/*").content


def upload(repository: str, content: bytes, kind: str) -> dict[str, Any]:
    """Store a blob; its descriptor."""
    digest = digest_of(content)
    begun = requests.post(f"{repository}/blobs/uploads/", timeout=SECONDS)
    begun.raise_for_status()
    place = requests.compat.urljoin(repository, begun.headers["location"])
    requests.put(place, content, params={"digest": digest}, timeout=SECONDS).raise_for_status()
    return descriptor(kind, digest, len(content))


def put(repository: str, name: str, content: bytes, kind: str) -> tuple[str, bool]:
    """Store a manifest; its digest, and whether the registry lists it with what it refers to."""
    answer = requests.put(
        f"{repository}/manifests/{name}", content, headers={"content-type": kind}, timeout=SECONDS
    )
    answer.raise_for_status()
    return digest_of(content), "oci-subject" in answer.headers


def _get(address: str, kind: str) -> requests.Response:
    answer = requests.get(address, headers={"accept": kind}, timeout=SECONDS)
    answer.raise_for_status()
    return answer


def descriptor(kind: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": kind, "digest": digest, "size": size}


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
