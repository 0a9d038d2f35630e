"""The recorded reports → what stands between the markers of docs/results/accuracy.md:

python -m measure.evaluation.page
"""

from __future__ import annotations

import sys
from pathlib import Path

from measure.document import Page, join
from measure.evaluation import RESULTS
from measure.evaluation.plot import draw
from measure.evaluation.report import Report, percent, read, verdict
from measure.evaluation.terminal import conditions, speakers
from measure.results import save_json

PAGE = Page.of("accuracy", "measure.evaluation.page")
NOTHING = "No result is recorded: `make robustness ARGS=--record` records one."
THROUGH = {"endpoint": "through the live endpoint", "local": "in process, without a server"}


def record(report: Report, results: Path = RESULTS, page: Page = PAGE) -> None:
    """Keep the report as the newest of its model and corpus, and write the page again."""
    file = save_json(report.model_dump(), results / f"{report.model}-{report.slug}.json")
    if len(report.conditions) > 1:
        draw(report, file.with_suffix(".png"))
    page.write(text(results))


def text(results: Path) -> str:
    return join(*(section(read(file), file) for file in sorted(results.glob("*.json")))) or NOTHING


def section(report: Report, file: Path) -> str:
    """The Markdown of one report."""
    clean, many = report.clean, len(report.conditions) > 1
    sample = f" (a sample of {report.total})" if clean.top1.clips < report.total else ""
    failures = f"{len(report.failures)} clips failed and count as wrong" if report.failures else "none failed"
    summary = (
        f"{clean.top1.clips} clips{sample} of {len(report.speakers)} speakers, {THROUGH[report.through]}; "
        f"{report.finished[:10]}, commit {report.commit}. {clean.top1.right} right: top-1 "
        f"**{percent(clean.top1)}**, top-5 {percent(clean.top5)}; {failures}."
    )
    return join(
        f"### {report.model} {report.version} on {report.corpus}",
        "\n".join([summary, *([verdict(report.published)] if report.published else [])]),
        conditions(report) if many else "",
        PAGE.image("Accuracy by condition", file.with_suffix(".png")) if many else "",
        speakers(report),
    )


if __name__ == "__main__":
    sys.exit(PAGE.main(text, RESULTS))
