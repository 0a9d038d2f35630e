"""The recorded results → what stands between the markers of docs/results/loadtest.md:

python -m measure.loadtest.page
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measure import ROOT
from measure.document import insert

RESULTS = ROOT / "measure" / "loadtest" / "results"
DOCUMENT = ROOT / "docs" / "results" / "loadtest.md"
COMMAND = "measure.loadtest.page"


def keep(content: dict[str, Any], path: Path, record: bool) -> Path:
    """Write a result; with `record` as the repository's too, and the page anew. Gives the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=2) + "\n"
    path.write_text(text, "utf-8")
    if record:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / path.name).write_text(text, "utf-8")
        write()
    return path


def write() -> None:
    found = [("overload.json", overload), ("capacity-check.json", check)]
    texts = [
        "\n".join(section(json.loads((RESULTS / name).read_text("utf-8"))))
        for name, section in found
        if (RESULTS / name).exists()
    ]
    DOCUMENT.write_text(insert(DOCUMENT.read_text("utf-8"), "\n\n".join(texts), COMMAND), "utf-8")


def provenance(content: dict[str, Any]) -> str:
    machine, settings = content["machine"], content["settings"]
    return (
        f"{machine['cpu']}, {machine['cores']} cores; {machine['versions']}; commit {machine['commit']}; "
        f"{content['date'][:10]}; clips: {settings['clips']}"
    )


def overload(content: dict[str, Any]) -> Iterator[str]:
    yield f"**`make overload`** ({provenance(content)}; a burst is answered at {content['burst_per_second']:.1f}/s):"
    yield ""
    yield "| load | offered/s | answered/s | 429/s | p99 of answers | p99 of a 429 | other errors |"
    yield "|---:|---:|---:|---:|---:|---:|---:|"
    for level in content["levels"]:
        answered = "" if level["answered_p99"] is None else f"{level['answered_p99']:.2f} s"
        refused = "" if level["refused_p99"] is None else f"{1e3 * level['refused_p99']:.0f} ms"
        yield (
            f"| {level['multiple']:g}× | {level['offered']:.1f} | {level['goodput']:.1f} | {level['refused']:.1f} "
            f"| {answered} | {refused} | {sum(level['other_errors'].values())} |"
        )
    yield ""
    yield f"At three times the load {content['goodput_kept']:.1%} of the best goodput is kept (90 % are wanted)."


def check(content: dict[str, Any]) -> Iterator[str]:
    ours, other = content["locust"], content["k6"]
    yield f"**`make capacity-check`** ({provenance(content)}):"
    yield ""
    yield (
        f"At {ours['slo']} locust finds {ours['capacity_per_second']:.1f} and k6 {other['capacity_per_second']:.1f} "
        f"requests a second: {content['difference']:.1%} apart, and 10 % are allowed."
    )


if __name__ == "__main__":
    write()
    sys.exit(0)
