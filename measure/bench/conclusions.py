"""What follows from the newest complete runs of the encoders → docs/results/benchmark.md:

python -m measure.bench.conclusions
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from measure.bench import RESULTS
from measure.bench.findings import HF, grows, int8, jemalloc, more, reached, two_workers, winner
from measure.bench.results import runs
from measure.document import Page

PAGE = Page.of("benchmark", "measure.bench.conclusions")
NOTHING = "No complete run is committed: `make bench` makes one."
WIDTH = 118


def text(folder: Path) -> str:
    """The Markdown of the newest complete run in the folder, and of the targets that other processors miss."""
    if not (found := runs(folder)):
        return NOTHING
    (rows, _), *others = found
    points = (
        f"**Who wins**: {winner(rows)}",
        f"**int8**: {int8(rows)}",
        f"**Layout**: one worker with a thread a core is the default. {two_workers(rows)} The packed encoder has "
        "threads of its own that share a clip's rows and heads, so that one worker keeps two cores as busy as two "
        f"workers do; Hugging Face's model has none, and answers {more(rows, HF):.0f} % more in two workers.",
        f"**Allocator**: glibc is the default. {jemalloc(rows)}",
        f"**Why targets are missed**: {reached(rows)} {grows()}",
        *(f"**Why targets are missed on {other[0].cpu}**: {reached(other)}" for other, _ in others),
    )
    return "\n".join(wrapped(f"- {it}") for it in points)


def wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def main(arguments: Sequence[str] | None = None) -> int:
    return PAGE.main(text, RESULTS, arguments)


if __name__ == "__main__":
    sys.exit(main())
