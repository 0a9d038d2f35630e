"""`make guard`: python -m bundle.enrolment.guard --model NAME [--head NAME] --voices FOLDER --strangers FOLDER."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import torch
from speaker_id.clip import Waveform
from speaker_id.manifest import CheckpointError

from bundle import BundleError, archive
from bundle.command_line import Parser
from bundle.enrolment import options, report
from bundle.enrolment.calibration import check_enough
from bundle.enrolment.classifier import Classifier
from bundle.enrolment.guarding import Answered, Heard, calibrate
from bundle.enrolment.recordings import Reader, Recording
from bundle.enrolment.sounds import sounds
from bundle.sources import resolve
from bundle.spec import guard_file
from bundle.terminal import say


def answered(classifier: Classifier, people: Sequence[str], waveforms: Sequence[Waveform]) -> Answered:
    logits, embeddings = zip(*map(classifier, waveforms), strict=True)
    return Answered(tuple(people), torch.stack(logits), torch.stack(embeddings))


def of_recordings(classifier: Classifier, recordings: Sequence[Recording]) -> Answered:
    people, waveforms = [each.person for each in recordings], [each.waveform for each in recordings]
    return answered(classifier, people, waveforms)


def main(arguments: list[str] | None = None) -> int:
    parser = Parser(
        prog="python -m bundle.enrolment.guard",
        description="Calibrate a head's guard: recordings of its labels and of strangers → guard.safetensors.",
    )
    options.add(parser)
    parser.add_argument("--head", default="", help="which head, of a model of several")
    chosen = parser.parse_args(arguments)
    try:
        voices = options.required(
            chosen.voices, "VOICES", "guard", "a folder in it for each label of the head"
        )
        others = options.required(
            chosen.strangers, "STRANGERS", "guard", "a folder in it for each person who is none of them"
        )
        spec = resolve(chosen.model).without_guards()
        classifier = Classifier(archive.prepare(spec, chosen.checkpoints), chosen.head, spec.speaker_id.heads)
        reader = Reader(classifier.sampling_rate, say)
        known = [clip for clips in classifier.labelled(reader.voices(voices)).values() for clip in clips]
        strangers = reader.strangers(others)
        check_enough(len(strangers))  # before the minutes that embedding takes
        without_voice = list(sounds(classifier.sampling_rate))
        heard = Heard(
            of_recordings(classifier, known),
            of_recordings(classifier, strangers),
            answered(classifier, [""] * len(without_voice), without_voice),
        )
        guarding = calibrate(heard, classifier.labels, classifier.maker, chosen.fpir)
        out = (chosen.out or options.FILES / spec.name) / guard_file(chosen.head)
        options.written(out, guarding.guard.write)
    except (BundleError, CheckpointError) as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 1
    for line in report.of_guard(guarding, chosen.fpir, len(without_voice)):
        say(line)
    say(f"{len(classifier.labels)} labels: {out} ({out.stat().st_size / 1e3:.1f} kB)")
    say(
        f"put it beside model.yaml, and {'at the head' if chosen.head else 'in it'}: "
        f"unknown: {{method: {guarding.best()}, fpir: {chosen.fpir:.3g}}}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
