"""A report → tables, and what the terminal shows of them."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console

from measure.document import Table
from measure.evaluation.counts import SIGNIFICANT, Condition, Speaker
from measure.evaluation.report import Report, chance, percent, verdict

SHOWN = 10  # speakers, and failures; the files hold all


def show(report: Report, console: Console) -> None:
    console.print(headline(report))
    for line in remarks(report):
        console.print(line)
    if len(report.conditions) > 1:
        console.print(conditions(report).rich("Robustness"))
    if (worst := speakers(report)).rows:
        console.print(worst.rich(f"The worst of {len(report.speakers)} speakers"))
    for failure in report.failures[:SHOWN]:
        console.print(
            f"failed: {failure.clip} ({failure.condition}): {failure.code}: {failure.message}", style="red"
        )
    if len(report.failures) > SHOWN:
        console.print(f"and {len(report.failures) - SHOWN} more failures", style="red")


def headline(report: Report) -> str:
    clean = report.clean
    return (
        f"{report.model} {report.version} on {report.corpus}, {report.through}: top-1 {percent(clean.top1)}, "
        f"top-5 {percent(clean.top5)}; {clean.top1.right} of {clean.top1.clips} clips of "
        f"{len(report.speakers)} speakers right"
    )


def remarks(report: Report) -> Iterator[str]:
    """What else must be known about the numbers."""
    if report.clean.top1.clips < report.total:
        yield f"A sample of {report.clean.top1.clips} of {report.total} clips."
    if report.published:
        yield verdict(report.published)
    if report.failures:
        yield f"{len(report.failures)} clips failed; each counts as wrong. Run it again to try them again."
    if len(report.strangers) == len(report.speakers):
        yield "No answer ever named a true speaker: does this model know these speakers?"


def conditions(report: Report) -> Table:
    """A row a condition; the failures only where there are any."""
    failed = ["failed"] if report.failures else []
    rows = [
        [row.name, percent(row.top1), percent(row.top5), *changes(row), *(str(row.failures) for _ in failed)]
        for row in report.conditions
    ]
    return Table(["condition", "top-1", "top-5", "lost", "gained", "p", *failed], rows)


def changes(row: Condition) -> tuple[str, str, str]:
    """Clips lost and gained against as recorded, and the p-value, starred where it is significant."""
    if row.p_value is None:
        return "", "", ""
    star = " *" if row.p_value < SIGNIFICANT else ""
    return str(row.lost), str(row.gained), chance(row.p_value).removeprefix("= ") + star


def speakers(report: Report) -> Table:
    """The worst of those who were not always recognised."""
    worst = [row for row in report.speakers if row.right < row.clips][:SHOWN]
    rows = [(row.speaker, f"{row.right} of {row.clips}", taken_for(row)) for row in worst]
    return Table(("the worst speakers", "right", "taken for"), rows, align="lrl")


def taken_for(row: Speaker) -> str:
    wrong = [f"{label} ×{times}" for label, times in list(row.taken_for.items())[:3]]
    return ", ".join(wrong + ([f"failed ×{row.failures}"] if row.failures else []))
