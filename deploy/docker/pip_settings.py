"""How this machine's pip reaches its packages, handed to a build as secrets and folders: none stays in the image."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

# those that say where packages come from; pip's others are this machine's alone
PASSED_ON = {
    "index-url",
    "extra-index-url",
    "find-links",
    "no-index",
    "trusted-host",
    "proxy",
    "cert",
    "timeout",
}
CERTIFICATE, CERTIFICATE_INSIDE = "cert", "/run/secrets/ca"  # where the Dockerfiles mount it
ENVIRONMENT = ":env:"


def settings() -> dict[str, str]:
    """pip's settings by name, of its files and of the environment, which comes first; none without pip."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    said = subprocess.run(command, capture_output=True, text=True).stdout
    return parse(said)


def parse(said: str) -> dict[str, str]:
    """What `pip config list` prints → the settings that are handed on."""
    found = re.findall(r"^(\S+?)\.([\w-]+)='(.*)'$", said, re.MULTILINE)
    found.sort(key=lambda each: each[0] == ENVIRONMENT)
    return {name: value.replace("\\n", " ").strip() for _, name, value in found if name in PASSED_ON}


def folders(given: Mapping[str, str]) -> list[str]:
    """The folders of this machine that the settings name, as a path or as file://.

    Of an index its parent: the files that an index links to lie beside it as a rule.
    """
    found = set()
    for name, value in given.items():
        paths = [Path(word.removeprefix("file://")) for word in value.split()] if name != CERTIFICATE else []
        here = [path for path in paths if path.is_absolute() and path.is_dir()]
        found |= {path.parent if name.endswith("index-url") else path for path in here}
    return sorted(map(str, found))


def secrets(given: Mapping[str, str], file: Path) -> dict[str, Path]:
    """A build's secrets by the names that the Dockerfiles have for them.

    Args:
        given: pip's settings.
        file: which pip.conf to write.
    """
    made: dict[str, Path] = {}
    inside = dict(given)
    certificate = Path(inside.pop(CERTIFICATE, ""))
    if certificate.is_file():
        made["ca"] = certificate
        inside[CERTIFICATE] = CERTIFICATE_INSIDE
    if inside:
        written = configparser.RawConfigParser()
        written["global"] = inside
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(0o600)  # an index's address may hold a password
        with file.open("w") as target:
            written.write(target)
        made["pip"] = file
    return made
