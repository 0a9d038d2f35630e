"""Answers → the three questions, each with intervals by person.

never heard    two clips, is it one person? Of people that training and calibration never heard.
gallery        the six named voices are enrolled; strangers never heard speak too.
guard          the same clips through the six voices' classifier, with each way to say "unknown".
conditions     one vector a voice, or one for each condition that it was recorded in.
"""

from __future__ import annotations

import torch
from speaker_id.confidence import LabelMeans

from bundle.enrolment.trials import centroids
from measure.openset import SECONDS
from measure.openset.conditions import conditions
from measure.openset.cuts import ENROL_CUT, Audio
from measure.openset.heard import Heard, Model, Table
from measure.openset.identification import demo_gallery, guards, in_gallery, new_galleries, sounds
from measure.openset.verification import never_heard, pair_calibration
from training.voices import LABELS


def study(audio: Audio, model: Model) -> Table:
    """Everything, as the JSON of the results."""
    enrolled = Heard.of(model, audio.named_enrol, ENROL_CUT)
    calibration = {seconds: Heard.of(model, audio.calibration, seconds) for seconds in SECONDS}
    new = Heard.of(model, audio.new_enrol, ENROL_CUT)
    cohort = centroids(
        list(enrolled.by_person().values()) + list(calibration[ENROL_CUT].by_person().values())
    )
    gallery = demo_gallery(enrolled, calibration[ENROL_CUT], model)
    known = LabelMeans.fit(
        enrolled.answers.pooled,
        torch.tensor([LABELS.index(name) for name in enrolled.cuts.people]),
        calibration[ENROL_CUT].answers.pooled,
    )
    scale = pair_calibration(calibration)
    lengths = {}
    for seconds in SECONDS:
        named = Heard.of(model, audio.named_test, seconds)
        strangers = Heard.of(model, audio.strangers, seconds)
        fresh = Heard.of(model, audio.new_test, seconds)
        lengths[str(seconds)] = {
            "never_heard": never_heard(new, fresh, scale, cohort),
            "gallery": in_gallery(gallery, named, strangers),
            "guard": guards(named, strangers, known),
            "new_galleries": new_galleries(new, fresh, strangers),
            "clips": {"named": len(named.cuts.people), "strangers": len(strangers.cuts.people)},
        }
    return {
        "people": {
            "named": len(audio.named_test),
            "calibration": len(audio.calibration),
            "held_out": len(audio.strangers),
            "held_out_groups": len({key for _, key, _ in audio.strangers}),
            "held_out_tested": len(audio.new_test),
        },
        "slope": gallery.gallery.manifest.slope,
        "neutral": gallery.gallery.manifest.neutral,
        "threshold": gallery.gallery.threshold(),
        "lengths": lengths,
        "sounds": sounds(gallery, model),
        "conditions": conditions(audio, model),
    }
