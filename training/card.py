"""``evaluation.json``, and the study of strangers, → the tables of the model card, in place between their markers.

    python -m training.card [--check]

So no number in a table is typed: ``--check`` (and a test) fails when the card and its sources differ.
"""

import argparse
import csv
import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from training import MODEL_DIR, REPOSITORY
from training.packages import PACKAGES

Report = dict[str, Any]  # evaluation.json
STUDY = (
    REPOSITORY / "measure" / "openset" / "results" / "openset.json"
)  # written by `python -m measure.openset`
WAYS = {
    "msp": "largest probability (MSP), the baseline",
    "relative": "relative Mahalanobis, which the guard uses",
}
BLOCK = re.compile(r"(<!-- table: (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(str(cell) for cell in line)} |\n" for line in lines)


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def right_of(result: Report) -> str:
    return f"{result['right']} of {result['clips']}"


def interval(found: Report, scale: float = 100, digits: int = 1) -> str:
    """A measure and its 95 % interval, a share as percent."""
    value, low, high = (f"{scale * found[name]:.{digits}f}" for name in ("value", "low", "high"))
    return f"{value}{' %' if scale == 100 else ''} ({low}–{high})"


def _study() -> Report:
    lengths: Report = json.loads(STUDY.read_text())["lengths"]
    return lengths


def _never_heard(_: Report) -> str:
    rows = []
    for seconds, found in _study().items():
        each = found["never_heard"]
        costs = (interval(each[name], 1, 3) for name in ("cllr_before", "cllr"))
        rows.append((f"{seconds} s", f"{each['same']} + {each['other']}", interval(each["eer"]), *costs))
    header = ["speech", "trials, same + other", "EER", "Cllr before calibration", "Cllr after"]
    return table(header, rows)


def _strangers(_: Report) -> str:
    rows = []
    for seconds, found in _study().items():
        ways = {"the gallery of the six": found["gallery"]}
        ways |= {name: found["guard"][method] for method, name in WAYS.items()}
        for name, each in ways.items():
            shares = (interval(each[key]) for key in ("dir@0.01", "dir@0.1"))
            rows.append(
                (f"{seconds} s", name, *shares, interval(each["auroc"], 1, 3), interval(each["fpr95"]))
            )
    return table(["speech", "by", "DIR at FPIR 1 %", "DIR at FPIR 10 %", "AUROC", "FPR@95"], rows)


def _calibration(_: Report) -> str:
    rows = [
        (f"{seconds} s", *(interval(found["gallery"][name], 1, 3) for name in ("ece_before", "ece")))
        for seconds, found in _study().items()
    ]
    return table(["speech", "ECE before calibration", "ECE after"], rows)


def _unknown(report: Report) -> str:
    rows = [
        (
            percent(row["fpir"]) + (" (chosen)" if row["fpir"] == report["unknown"]["fpir"] else ""),
            f"{row['named']} of {row['clips']}",
            interval(row["strangers"]),
        )
        for row in report["unknown"]["rates"]
    ]
    return table(["`fpir`", "rightly named, of the held-out clips of the six", "strangers named"], rows)


def _language(report: Report) -> str:
    rows = [
        (name, row["people"], right_of(row), interval(row["accuracy"]))
        for name, row in report["language"]["measured"].items()
    ]
    return table(["clips of", "people", "right", "share, people counted alike"], rows)


def _packages(_: Report) -> str:
    rows = [(f"`{p.name}`", f"`{p.version}`", f"`{p.sha256[:16]}…`") for p in PACKAGES]
    return table(["package", "version", "sha256 of the .deb"], rows)


def _corpus(report: Report) -> str:
    rows = [(split, size["clips"], size["minutes"]) for split, size in report["corpus"].items()]
    return table(["split", "clips", "minutes"], rows)


def _conditions(report: Report) -> str:
    conditions = report["conditions"] | {"clean clips of 1.0–1.5 s": report["short_clips"]}
    rows = [
        (
            name,
            right_of(row),
            percent(row["accuracy"]),
            f"{row['median_top_probability']:.3f}",
            f"{row['named']} of {row['clips']}",
        )
        for name, row in conditions.items()
    ]
    header = ["condition", "right", "accuracy", "median top probability", "rightly named, unknown allowed"]
    return table(header, rows)


def _voices(report: Report) -> str:
    rows = [
        (f"`{row['speaker']}`", row["language"], right_of(row), percent(row["accuracy"]), row["named"])
        for row in report["voices"]
    ]
    return table(["speaker", "language", "right", "accuracy", "rightly named, unknown allowed"], rows)


def _confusion(report: Report) -> str:
    rows = [
        (f"`{name}`", *counts) for name, counts in zip(report["labels"], report["confusion"], strict=True)
    ]
    return table(["speaker \\ answer", *(f"`{name}`" for name in (*report["labels"], "unknown"))], rows)


def _outside(report: Report) -> str:
    rows = [
        (
            name,
            row["clips"],
            f"`{row['usual_answer']}` ({percent(row['usual_answer_share'])})",
            f"{row['median_top_probability']:.3f}",
            percent(row["confident_share"]),
            percent(row["unknown_share"]),
        )
        for name, row in report["outside"].items()
    ]
    header = ["sound", "clips", "usual answer (share)", "median top probability", "answered at 0.9 or more"]
    return table([*header, "unknown with the guard"], rows)


def _samples(report: Report) -> str:
    with (MODEL_DIR / "samples" / "manifest.csv").open(newline="") as file:
        manifest = {row["clip"]: row for row in csv.DictReader(file)}
    rows = [
        (
            f"`{row['clip']}`",
            manifest[row["clip"]]["seconds"],
            f"{row['probability']:.3f}" + (" (hard)" if row["hard"] else ""),
            f"{row['guarded']:.3f}",
            manifest[row["clip"]]["licence"],
        )
        for row in report["samples"]
    ]
    return table(["clip", "seconds", "probability of its speaker", "with unknown", "licence"], rows)


def _stranger(report: Report) -> str:
    found = report["stranger"]
    row = (f"`{found['clip']}`", f"{found['probability']:.3f}", f"{found['unknown']} of {found['clips']}")
    return table(["clip", "probability of `unknown`", "her clips that are unknown"], [row])


TABLES: dict[str, Callable[[Report], str]] = {
    "packages": _packages,
    "corpus": _corpus,
    "conditions": _conditions,
    "voices": _voices,
    "confusion": _confusion,
    "outside": _outside,
    "unknown": _unknown,
    "never-heard": _never_heard,
    "strangers": _strangers,
    "calibration": _calibration,
    "language": _language,
    "samples": _samples,
    "stranger": _stranger,
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
        parser.exit(
            1, "models/demo/README.md differs from what was measured: run `python -m training.card`\n"
        )
