"""Asks for what is missing from the journal, with progress on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from measure.evaluation.corpus import Corpus
from measure.evaluation.journal import Journal
from measure.evaluation.question import Answerer, Question
from measure.progress import Progression


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
    count = right = failed = 0

    def state() -> str:
        return f"{right / count:.1%} right" + (f", {failed} failed" if failed else "")

    with Progression(console, "evaluate", done + len(questions), done) as shown:
        for entry in answerer.answers(questions):
            journal.add(entry)
            count += 1
            failed += entry.error is not None
            right += bool(entry.ranking) and entry.ranking[0][0] == speakers[entry.clip]
            shown.advance(state)
