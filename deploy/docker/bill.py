"""The image's bill of materials, CycloneDX: Python's packages, Debian's, and the model. Run inside the build.

    .venv/bin/python deploy/docker/bill.py FOLDER

Writes FOLDER/sbom.cdx.json and reads FOLDER/model_store. `make audit` asks for the vulnerabilities of a checkout's
packages with tools of their own; this one needs none, and depends on the image alone.
"""

from __future__ import annotations

import json
import re
import sys
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

Component = dict[str, Any]
FILE = "sbom.cdx.json"
DPKG = Path("/var/lib/dpkg/status")
# what packages of before PEP 639 say, by its SPDX identifier
SPDX = {
    "Apache License Version 2.0": "Apache-2.0",
    "Apache 2.0 License": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "Apache-2.0": "Apache-2.0",
    "BSD": "BSD-3-Clause",  # without a number; jinja2, sympy and mpmath say so, whose texts have three clauses
    "BSD License": "BSD-3-Clause",
    "BSD 3-Clause License": "BSD-3-Clause",
    "BSD-3-Clause": "BSD-3-Clause",
    "GPL-2.0": "GPL-2.0-only",
    "ISC License": "ISC",
    "MIT": "MIT",
    "MIT License": "MIT",
    "MPL-2.0": "MPL-2.0",
    "MPL-2.0 AND MIT": "MPL-2.0 AND MIT",
}


def licence(about: Any) -> str | None:
    """What a package's metadata say of its licence, as an SPDX expression; None if that is unclear."""
    if expression := about.get("License-Expression"):
        return str(expression)
    said = [about.get("License") or ""]
    said += [each.rpartition(" :: ")[2] for each in about.get_all("Classifier") or () if "License ::" in each]
    return next((SPDX[each.strip()] for each in said if each.strip() in SPDX), None)


def python() -> Iterator[Component]:
    found = {each.name.lower().replace("_", "-"): each for each in metadata.distributions()}
    for name, each in sorted(found.items()):
        component: Component = {"type": "library", "name": name, "version": each.version}
        component["purl"] = f"pkg:pypi/{name}@{each.version.replace('+', '%2B')}"
        if expression := licence(each.metadata):
            component["licenses"] = [{"expression": expression}]
        yield component


def debian(status: Path = DPKG) -> Iterator[Component]:
    for entry in status.read_text("utf-8").split("\n\n"):
        fields = dict(re.findall(r"^([A-Z][\w-]*): (.*)$", entry, re.MULTILINE))
        if fields.get("Status", "").endswith(" installed"):
            name, version = fields["Package"], fields["Version"]
            purl = f"pkg:deb/debian/{name}@{version.replace('+', '%2B')}?arch={fields['Architecture']}"
            yield {"type": "library", "name": name, "version": version, "purl": purl}


def models(store: Path) -> Iterator[Component]:
    """Each archive's model, with what its manifest says of its origin; of several heads that of each, inside of it."""
    for mar in sorted(store.glob("*.mar")):
        with zipfile.ZipFile(mar) as archive:
            card = json.loads(archive.read("checkpoint/manifest.json"))
            packed = json.loads(archive.read("MAR-INF/MANIFEST.json"))["model"]
        component = {**model(packed["modelName"], card), "version": packed["modelVersion"]}
        if heads := card.get("heads"):
            component["properties"] = []  # its own source is a name only
            component["components"] = [model(name, head) for name, head in heads.items()]
        yield component


def model(name: str, card: dict[str, Any]) -> Component:
    given = {"source": card.get("source"), "revision": card.get("revision")}
    component: Component = {
        "type": "machine-learning-model",
        "name": name,
        "properties": [{"name": key, "value": value} for key, value in given.items() if value],
    }
    if card.get("licence"):
        component["licenses"] = [{"license": {"name": card["licence"]}}]
    return component


def main() -> int:
    folder = Path(sys.argv[1])
    components = [*models(folder / "model_store"), *python(), *(debian() if DPKG.is_file() else ())]
    bill = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": components}
    (folder / FILE).write_text(json.dumps(bill, indent=1, ensure_ascii=False) + "\n", "utf-8")
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return 0


if __name__ == "__main__":
    sys.exit(main())
