"""``evaluation.json`` → the tables of the model card, in place between their markers.

    python -m training.card [--check]

So no number in a table is typed: ``--check`` (and a test) fails when the card and the evaluation differ.
"""

import argparse
import csv
import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from training import MODEL_DIR
from training.packages import PACKAGES

Report = dict[str, Any]  # evaluation.json
BLOCK = re.compile(r"(<!-- table: (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(str(cell) for cell in line)} |\n" for line in lines)


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def right_of(result: Report) -> str:
    return f"{result['right']} of {result['clips']}"


def _packages(_: Report) -> str:
    rows = [(f"`{p.name}`", f"`{p.version}`", f"`{p.sha256[:16]}…`") for p in PACKAGES]
    return table(["package", "version", "sha256 of the .deb"], rows)


def _corpus(report: Report) -> str:
    rows = [(split, size["clips"], size["minutes"]) for split, size in report["corpus"].items()]
    return table(["split", "clips", "minutes"], rows)


def _conditions(report: Report) -> str:
    conditions = report["conditions"] | {"clean clips of 1.0–1.5 s": report["short_clips"]}
    rows = [
        (name, right_of(row), percent(row["accuracy"]), f"{row['median_top_probability']:.3f}")
        for name, row in conditions.items()
    ]
    return table(["condition", "right", "accuracy", "median top probability"], rows)


def _voices(report: Report) -> str:
    rows = [
        (f"`{row['speaker']}`", row["language"], right_of(row), percent(row["accuracy"]))
        for row in report["voices"]
    ]
    return table(["speaker", "language", "right", "accuracy"], rows)


def _confusion(report: Report) -> str:
    rows = [
        (f"`{name}`", *counts) for name, counts in zip(report["labels"], report["confusion"], strict=True)
    ]
    return table(["speaker \\ answer", *(f"`{name}`" for name in report["labels"])], rows)


def _outside(report: Report) -> str:
    rows = [
        (
            name,
            row["clips"],
            f"`{row['usual_answer']}` ({percent(row['usual_answer_share'])})",
            f"{row['median_top_probability']:.3f}",
            percent(row["confident_share"]),
        )
        for name, row in report["outside"].items()
    ]
    header = ["sound", "clips", "usual answer (share)", "median top probability", "answered at 0.9 or more"]
    return table(header, rows)


def _samples(report: Report) -> str:
    with (MODEL_DIR / "samples" / "manifest.csv").open(newline="") as file:
        manifest = {row["clip"]: row for row in csv.DictReader(file)}
    rows = [
        (
            f"`{row['clip']}`",
            manifest[row["clip"]]["seconds"],
            f"{row['probability']:.3f}" + (" (hard)" if row["hard"] else ""),
            manifest[row["clip"]]["licence"],
        )
        for row in report["samples"]
    ]
    return table(["clip", "seconds", "probability of its speaker", "licence"], rows)


TABLES: dict[str, Callable[[Report], str]] = {
    "packages": _packages,
    "corpus": _corpus,
    "conditions": _conditions,
    "voices": _voices,
    "confusion": _confusion,
    "outside": _outside,
    "samples": _samples,
}


def render(card: str, report: Report) -> str:
    """``card`` with every marked table rewritten from ``report``."""
    return BLOCK.sub(lambda block: block[1] + TABLES[block["name"]](report) + block[3], card)


def update(model: Path = MODEL_DIR, *, check: bool = False) -> bool:
    """Whether the card already matched the evaluation; writes it unless ``check``."""
    card = model / "README.md"
    written = card.read_text()
    rendered = render(written, json.loads((model / "evaluation.json").read_text()))
    if not check:
        card.write_text(rendered)
    return written == rendered


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail when a table is out of date"
    )
    if not update(check=(check := parser.parse_args().check)) and check:
        parser.exit(1, "models/demo/README.md differs from evaluation.json: run `python -m training.card`\n")
