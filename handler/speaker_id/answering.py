"""The answering stage: a job's logits → the body of its answer."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from itertools import islice

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from speaker_id import labels, protocol
from speaker_id.certainty import certainties
from speaker_id.errors import InvalidParameter, OutOfMemory
from speaker_id.heads import Source
from speaker_id.job import Job
from speaker_id.open_set import Joined, OpenSet, OperatingPoint
from speaker_id.settings import Settings

NO_MEMORY = "the server ran out of memory for this answer: request a smaller top_k"


class Answering:
    """Rank the labels of every clip, and render the body in the caller's form.

    Args:
        names: of the labels, in index order, those of open sets among them.
        default: how logits become scores when the caller does not say, of all heads or of each.
        settings: heads, and limits on an answer.
        model: name and version, for the v2 form.
        space: of the model's embeddings.
        open_sets: heads that may answer "unknown", by name.
    """

    def __init__(
        self,
        names: Sequence[str],
        default: labels.Functions,
        settings: Settings,
        model: protocol.Model,
        space: protocol.Space,
        open_sets: Mapping[str, OpenSet],
    ) -> None:
        self.labels = labels.Labels(names, settings.heads, settings.default_head)
        self.default = default
        self.settings, self.model, self.space = settings, model, space
        self.shortest = min(map(len, names), default=0)  # characters
        self.joined = Joined(settings.heads or {"": len(names)}, open_sets)
        unnamed = self.joined.heads.get(settings.default_head, len(names))
        self.sizes = {**self.joined.heads, "": unnamed}  # labels of each

    def check(self, request: protocol.Request) -> None:
        """Raise RequestTooLarge if the answer would be too large, before any of the work is done.

        Raises:
            InvalidParameter: labels of a model that has none; two thresholds, or one where no head that is asked
                for may answer "unknown".
        """
        options = request.options
        given = [name for name in ("fpir", "min_score") if getattr(options, name) is not None]
        if given and not self.joined.sets.keys() & self.ranked(request):
            may = ", ".join(filter(None, self.joined.sets))
            raise InvalidParameter(
                f"{given[0]} is of heads that may answer unknown, {may}: this request asks for none of them"
                if may
                else f"{given[0]} says when a ranking has unknown first: this request asks for no ranking"
                if self.joined.sets
                else f"{given[0]} is of a model that may answer unknown; this one never does"
            )
        if len(given) > 1:
            raise InvalidParameter("fpir and min_score both say when the answer is unknown: send one of them")
        if not self.labels.names and request.ranked:
            raise InvalidParameter("the model has no labels: ask for its embedding with output embedding")
        least = protocol.least_bytes(
            request, self.sizes, self.top_k(request), self.shortest, self.space.width
        )
        protocol.check_size(least, self.settings.max_response_bytes)

    def sources(self, request: protocol.Request) -> tuple[Source, ...]:
        """Return whose embeddings an answer needs: the model's as itself, and those that open sets read."""
        own: tuple[Source, ...] = (None,) if request.embeds else ()
        return tuple(dict.fromkeys((*own, *self.joined.sources(self.ranked(request)))))

    def ranked(self, request: protocol.Request) -> set[str]:
        """Return the names of the heads that it gets a ranking of, that of the default one among them."""
        return {head or self.settings.default_head for head in request.ranked}

    def top_k(self, request: protocol.Request) -> int:
        return request.options.top_k or self.settings.default_top_k

    def __call__(self, jobs: Sequence[Job]) -> None:
        """Fill in each outcome's answer and certainties; an error instead where the answer is too large.

        Step by step for all jobs, not job by job: the code of one step stays in the processor's caches.
        """
        alike = defaultdict(list)
        for job in jobs:
            options = job.request.options
            threshold = OperatingPoint(options.fpir, options.min_score)
            alike[frozenset(self.ranked(job.request)), threshold].append(job)
        for (asked, threshold), some in alike.items():
            logits: list[tuple[Tensor, ...]] | None = None
            with contextlib.suppress(MemoryError):
                logits = self.logits(some, asked, threshold)
            if logits is None:
                self.separately(some)
                continue
            for job, rows in zip(some, logits, strict=True):
                with job.outcome.catching(NO_MEMORY):
                    self.write(job, rows)
            with contextlib.suppress(MemoryError):  # certainties are for monitoring: the answers are there
                self.watch(some, logits, asked)

    def separately(self, jobs: Sequence[Job]) -> None:
        """Answer one by one those that memory did not suffice for: one that is too large costs the others nothing."""
        if len(jobs) == 1:
            jobs[0].outcome.fail(OutOfMemory(NO_MEMORY))
        else:
            for job in jobs:
                self([job])

    def write(self, job: Job, logits: Sequence[Tensor]) -> None:
        """Fill in the answer of one job. Raises RequestTooLarge."""
        outcome, request = job.outcome, job.request
        function = request.options.function_to_apply or self.default
        top_k, ranked = self.top_k(request), request.ranked
        rankings = [labels.answer(row, self.labels, top_k, function, ranked) for row in logits]
        embeddings = self.embeddings(job) if request.embeds else None
        if request.form == "tensors":
            scores = [self.scores(row, function) for row in logits]
            outcome.tensors = protocol.render_tensors(
                request, rankings, scores, embeddings.vectors if embeddings else ()
            )
            return
        classes = {
            output.name: [labels.classified(row, self.labels, output, function) for row in logits]
            for output in request.outputs
            if output.classes
        }
        answer = protocol.render(request, rankings, self.model, classes, embeddings)
        most = self.settings.max_response_bytes
        if request.form == "grpc":
            outcome.answer, outcome.message = protocol.write_message(answer, most), True
        else:
            outcome.answer, outcome.json_bytes = protocol.dump(answer, most)

    def logits(
        self, jobs: Sequence[Job], asked: Collection[str], threshold: OperatingPoint
    ) -> list[tuple[Tensor, ...]]:
        """Each job's, one a clip, of all heads, of jobs that ask for the same heads and threshold."""
        clips = [(job, index) for job in jobs for index in range(len(job.request.clips))]
        if not clips:
            return [()] * len(jobs)
        embeddings = {
            source: torch.stack([job.embeddings[index][source] for job, index in clips])
            for source in self.joined.sources(asked)
        }
        rows = torch.stack([job.logits[index] for job, index in clips])
        found = iter(self.joined.logits(rows, embeddings, asked, threshold))
        return [tuple(islice(found, len(job.request.clips))) for job in jobs]

    def watch(self, jobs: Sequence[Job], logits: Sequence[Sequence[Tensor]], asked: Collection[str]) -> None:
        """Fill in the certainties of answered jobs, of all heads but the open sets that they do not ask for."""
        if not self.labels.names:
            return
        answered = [(job, rows) for job, rows in zip(jobs, logits, strict=True) if not job.failed]
        together = [row for _, rows in answered for row in rows]
        found = iter(certainties(together, self.settings.heads, self.joined.sets.keys() - asked))
        for job, rows in answered:
            job.outcome.certainties = [each for of_clip in islice(found, len(rows)) for each in of_clip]

    def embeddings(self, job: Job) -> protocol.Embeddings:
        """Each clip's, of length 1, so that a product of two is their cosine."""
        vectors = [job.embeddings[index][None] for index in range(len(job.request.clips))]
        return protocol.Embeddings(self.space, [F.normalize(each, dim=0).tolist() for each in vectors])

    def scores(self, logits: Tensor, function: labels.Functions) -> dict[str, NDArray[np.float32]]:
        """Every label's score of one clip, by head; "" for the only head, or the default one."""
        default = self.settings.default_head
        heads = dict(labels.parts(self.settings.heads, default)) or {"": slice(None)}
        return {
            head: labels.scored(logits[part], labels.function_of(head or default, function)).numpy()
            for head, part in heads.items()
        }
