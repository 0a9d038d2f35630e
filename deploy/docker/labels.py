"""What an image says of itself: OCI's annotations as labels, from its bill of materials and from git."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

OCI = "org.opencontainers.image."
MODEL = "speaker-id.model."


def of(bill: Mapping[str, Any], version: str, base: str) -> dict[str, str]:
    """The labels of an image.

    Args:
        bill: CycloneDX, as the build wrote it.
        version: of the image.
        base: the base image's name.
    """
    model = next(each for each in bill["components"] if each["type"] == "machine-learning-model")
    labels = {
        f"{OCI}title": "speaker-id",
        f"{OCI}description": f"Speaker identification behind a gateway, with the model {model['name']}",
        f"{OCI}version": version,
        f"{OCI}source": source(git("remote", "get-url", "origin")),
        f"{OCI}revision": revision(),
        f"{OCI}base.name": base,
        f"{OCI}licenses": licences(bill["components"]),
        f"{MODEL}name": model["name"],
        f"{MODEL}version": model["version"],
        f"{MODEL}source": origin(model, "source"),
        f"{MODEL}revision": origin(model, "revision"),
        f"{MODEL}licence": "; ".join(each["license"]["name"] for each in model.get("licenses", ())),
    }
    return {name: value for name, value in labels.items() if value}


def origin(model: Mapping[str, Any], what: str) -> str:
    """A property of the model; of one of several heads NAME=value for each of them, in order."""
    found = [
        (f"{part['name']}=" if part is not model else "") + each["value"]
        for part in (model, *model.get("components", ()))
        for each in part["properties"]
        if each["name"] == what
    ]
    return ", ".join(found)


def licences(components: Iterable[Mapping[str, Any]]) -> str:
    """The licences of the Python packages as one SPDX expression, as the packages declare them.

    The licence of this bundle's own code is not among them: it has none until its owner chooses one.
    """
    declared = [
        each["expression"] for part in components for each in part.get("licenses", ()) if "expression" in each
    ]
    whole = {term for expression in declared for term in terms(expression)}
    return " AND ".join(sorted(whole))


def terms(expression: str) -> list[str]:
    """What an expression joins by AND; a choice stays together in its brackets."""
    if " OR " in expression:
        return [f"({expression})"]
    return re.split(r"\s+AND\s+", expression)


def revision() -> str:
    """The commit, with a mark where files differ from it; empty outside a checkout."""
    commit = git("rev-parse", "HEAD")
    return f"{commit}-modified" if commit and git("status", "--porcelain") else commit


def source(address: str) -> str:
    """A repository's address without the password that it may hold; empty for a folder of this machine."""
    parts = urlsplit(address)
    if not parts.hostname:
        return address if re.match(r"[\w.-]+@[\w.-]+:", address) else ""
    host = parts.hostname + (f":{parts.port}" if parts.port else "")
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def git(*words: str) -> str:
    try:
        return subprocess.run(["git", *words], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
