"""The recorded reports → what stands between the markers of docs/results/accuracy.md:

python -m measure.evaluation.page
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from measure import ROOT
from measure.document import insert
from measure.evaluation import RESULTS, EvaluationError
from measure.evaluation.plot import draw
from measure.evaluation.report import Report, percent, read, verdict
from measure.evaluation.terminal import changes

DOCUMENT = ROOT / "docs" / "results" / "accuracy.md"
COMMAND = "measure.evaluation.page"  # as the markers name it
NOTHING = "No result is recorded: `make robustness ARGS=--record` records one."
WORST = 10


def record(report: Report, results: Path = RESULTS, document: Path = DOCUMENT) -> None:
    """Keep the report as the newest of its model and corpus, and write the page anew."""
    results.mkdir(parents=True, exist_ok=True)
    name = f"{report.model}-{report.slug}"
    (results / f"{name}.json").write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
    if len(report.conditions) > 1:
        draw(report, results / f"{name}.png")
    write(results, document)


def write(results: Path = RESULTS, document: Path = DOCUMENT) -> None:
    """Raises EvaluationError if a marker is missing."""
    try:
        written = insert(document.read_text(encoding="utf-8"), page(results), COMMAND)
    except ValueError as exc:
        raise EvaluationError(f"{document}: {exc}") from exc
    document.write_text(written, encoding="utf-8")


def page(results: Path) -> str:
    files = sorted(results.glob("*.json"))
    return "\n\n".join("\n".join(section(read(file), file)) for file in files) or NOTHING


def section(report: Report, file: Path) -> Iterator[str]:
    """The Markdown of one report."""
    clean = report.clean
    yield f"### {report.model} {report.version} on {report.corpus}"
    yield ""
    sample = f" (a sample of {report.total})" if clean.top1.clips < report.total else ""
    yield (
        f"{clean.top1.clips} clips{sample} of {len(report.speakers)} speakers, {THROUGH[report.through]}; "
        f"{report.finished[:10]}, commit {report.commit}. {clean.top1.right} right: top-1 "
        f"**{percent(clean.top1)}**, top-5 {percent(clean.top5)}; {failures(report)}."
    )
    if report.published:
        yield verdict(report.published)
    if len(report.conditions) > 1:
        yield from ("", "| condition | top-1 | top-5 | lost | gained | p |", "|---|---:|---:|---:|---:|---:|")
        for row in report.conditions:
            yield f"| {row.name} | {percent(row.top1)} | {percent(row.top5)} | {' | '.join(changes(row))} |"
        yield from ("", f"![Accuracy by condition](../../measure/evaluation/results/{file.stem}.png)")
    if worst := [row for row in report.speakers if row.right < row.clips][:WORST]:
        yield from ("", "| the worst speakers | right | taken for |", "|---|---:|---|")
        for speaker in worst:
            taken = ", ".join(f"{label} ×{times}" for label, times in list(speaker.taken_for.items())[:3])
            yield f"| {speaker.speaker} | {speaker.right} of {speaker.clips} | {taken} |"


THROUGH = {"endpoint": "through the live endpoint", "local": "in process, without a server"}


def failures(report: Report) -> str:
    return f"{len(report.failures)} clips failed and count as wrong" if report.failures else "none failed"


def main() -> int:
    try:
        write()
    except (EvaluationError, OSError) as exc:
        print(f"page: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
