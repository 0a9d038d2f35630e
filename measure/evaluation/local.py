"""Clips → rankings without a server: the archive's checkpoint in the handler's own pipeline, in this process."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator

import torch
from speaker_id.job import Outcome
from speaker_id.pipeline import Pipeline
from speaker_id.protocol import Model, Payload

from bundle import archive, layout
from bundle.spec import ModelSpec
from measure.evaluation import TOP
from measure.evaluation.journal import Entry, Identity, Ranking
from measure.evaluation.question import Question, probe


class Local:
    """A model in this process.

    Args:
        spec: which; its checkpoint is fetched and converted if need be, as for an archive.

    Raises:
        BundleError, CheckpointError: it cannot be loaded.
    """

    def __init__(self, spec: ModelSpec) -> None:
        device = "cuda:0" if torch.cuda.is_available() else "cpu"
        folder = archive.prepare(spec)
        settings = layout.laid_out(spec, folder).speaker_id
        if settings.torch_threads:
            torch.set_num_threads(settings.torch_threads)
        self.model = Model(spec.name, spec.version)
        self.batch = spec.torchserve.batchSize
        self.pipeline = Pipeline.load(folder, device, settings, self.model)

    def identity(self) -> Identity:
        (outcome,) = self.pipeline.identify([payload(probe(), function="none")])
        return Identity(self.model.name, self.model.version, "local", ranking(outcome))

    def answers(self, questions: Iterable[Question]) -> Iterator[Entry]:
        """An entry a question, in batches as TorchServe would make them."""
        remaining = iter(questions)
        while batch := list(itertools.islice(remaining, self.batch)):
            asked: list[tuple[Question, Payload]] = []
            for question in batch:
                content = question.content()
                if isinstance(content, Entry):
                    yield content
                else:
                    asked.append((question, payload(content)))
            started = time.monotonic()
            outcomes = self.pipeline.identify([each for _, each in asked])
            seconds = time.monotonic() - started
            for (question, _), outcome in zip(asked, outcomes, strict=True):
                if outcome.error is None:
                    yield question.entry(ranking(outcome), None, seconds)
                else:
                    yield question.entry([], (outcome.error.code, outcome.error.message))


def payload(content: bytes, function: str | None = None) -> Payload:
    headers = {"X-Top-K": str(TOP)} | ({"X-Function-To-Apply": function} if function else {})
    return Payload(parts={"body": content}, headers=headers)


def ranking(outcome: Outcome) -> Ranking:
    assert outcome.error is None, outcome.error
    return [(each["label"], each["score"]) for each in outcome.body]
