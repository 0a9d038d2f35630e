"""`make audit`: the bill of materials of what serves, and its known vulnerabilities.

python -m bundle.audit --tools build/audit/bin --out reports/sbom.cdx.json

Exits with 0 if no package has a known vulnerability, 1 if one has, 3 if the service could not be reached.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

CLEAN, VULNERABLE, UNREACHABLE = 0, 1, 3
Package = dict[str, Any]  # "name", and "version" and "vulns", or a "skip_reason"
PATIENCE = 15  # s for one answer of the vulnerability service


def bill(tools: Path, out: Path) -> int:
    """Write the CycloneDX bill of materials of this environment; return the number of its packages."""
    out.parent.mkdir(parents=True, exist_ok=True)
    command = [
        str(tools / "cyclonedx-py"),
        "environment",
        "--output-reproducible",
        "-o",
        str(out),
        sys.executable,
    ]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return len(json.loads(out.read_text("utf-8"))["components"])


def ask(tools: Path) -> list[Package] | None:
    """What pip-audit reports for every package here; None if the service answered for none of them.

    In that case pip-audit itself exits with 0 and "No known vulnerabilities found".
    """
    command = [str(tools / "pip-audit"), "--path", sysconfig.get_path("purelib"), "--format", "json"]
    command += ["--progress-spinner", "off", "--timeout", str(PATIENCE)]
    done = subprocess.run(command, capture_output=True, text=True)
    try:
        packages: list[Package] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        return None
    return None if all("skip_reason" in package for package in packages) else packages


def shown(found: list[Package]) -> Table:
    table = Table("package", "version", "known as", "fixed in", title="Known vulnerabilities")
    for package in found:
        for each in package["vulns"]:
            names = ", ".join([each["id"], *each.get("aliases", [])])
            table.add_row(package["name"], package["version"], names, ", ".join(each["fix_versions"]) or "-")
    return table


def main() -> int:
    parser = argparse.ArgumentParser(prog="make audit", description="Bill of materials and vulnerabilities.")
    parser.add_argument("--tools", type=Path, required=True, help="folder of pip-audit and cyclonedx-py")
    parser.add_argument("--out", type=Path, default=Path("reports/sbom.cdx.json"))
    chosen = parser.parse_args()
    console = Console()
    try:
        console.print(f"audit: {bill(chosen.tools, chosen.out)} packages listed in {chosen.out}")
    except subprocess.CalledProcessError as exc:
        print(f"audit: cyclonedx-py failed: {exc.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return 2
    packages = ask(chosen.tools)
    if packages is None:
        print(
            "audit: vulnerabilities are not known: pypi.org cannot be reached from here",
            file=sys.stderr,
        )
        return UNREACHABLE
    if unknown := [package["name"] for package in packages if "skip_reason" in package]:
        console.print(f"audit: not checked, since PyPI does not have this version: {', '.join(unknown)}")
    found = [package for package in packages if package.get("vulns")]
    if found:
        console.print(shown(found))
        return VULNERABLE
    console.print("audit: no known vulnerability in the packages that were checked")
    return CLEAN


if __name__ == "__main__":
    sys.exit(main())
