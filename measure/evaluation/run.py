"""What is missing from the journal is asked for, with progress on the terminal."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from measure.evaluation.corpus import Corpus
from measure.evaluation.journal import Entry, Journal
from measure.evaluation.question import Answerer, Question

LINE_SECONDS = 10.0  # between two lines where there is no terminal to draw a bar on


class Rate(ProgressColumn):
    """Clips a second, of this run alone."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f} clips/s" if task.speed else "", style="progress.data.speed")


def missing(corpus: Corpus, conditions: Sequence[str], journal: Journal) -> list[Question]:
    """What has no answer yet, in the corpus's order; what failed is tried again."""
    sizes = {clip.name: clip.size() for clip in corpus.clips}
    return [
        Question(clip, name)
        for name in conditions
        for clip in corpus.clips
        if not journal.answered(clip.name, name, sizes[clip.name])
    ]


def ask(
    answerer: Answerer, questions: Sequence[Question], done: int, journal: Journal, console: Console
) -> None:
    """Answer everything that is missing; each answer is in the journal before the next is waited for.

    Raises:
        Unreachable: the server is gone; what was answered is in the journal.
    """
    speakers = {question.clip.name: question.clip.speaker for question in questions}
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[state]}"),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    ) as bar:
        task = bar.add_task("evaluating", total=done + len(questions), completed=done, state="")
        right = failed = 0
        for count, entry in enumerate(
            with_lines(answerer.answers(questions), done, len(questions), console), 1
        ):
            journal.add(entry)
            failed += entry.error is not None
            right += bool(entry.ranking) and entry.ranking[0][0] == speakers[entry.clip]
            bar.update(
                task, advance=1, state=f"{right / count:.1%} right" + (f", {failed} failed" if failed else "")
            )


def with_lines(entries: Iterable[Entry], done: int, asked: int, console: Console) -> Iterator[Entry]:
    """The entries; where no bar can be drawn, a line now and then."""
    began = told = time.monotonic()
    for count, entry in enumerate(entries, 1):
        yield entry
        now = time.monotonic()
        if not console.is_terminal and now - told > LINE_SECONDS:
            told, rate = now, count / (now - began)
            left = (asked - count) / rate / 60
            console.print(
                f"evaluate: {done + count} of {done + asked}, {rate:.1f} clips/s, {left:.0f} min left"
            )
