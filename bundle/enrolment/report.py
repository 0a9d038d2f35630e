"""What an enrolment measured, in lines for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from bundle.enrolment.enrol import Enrolment
from bundle.enrolment.guarding import Guarding

SHOWN = 20  # clips in doubt that are listed


def lines(enrolment: Enrolment) -> Iterator[str]:
    """The report, top down."""
    manifest = enrolment.gallery.manifest
    for voice in manifest.voices:
        yield f"  {voice.label}: {voice.clips} clips, {voice.seconds:.1f} s of speech"
    rate = manifest.fpir
    observed = [each for each in manifest.thresholds if each.observed]
    yield f"threshold {enrolment.gallery.threshold():.3f} for {rate:.1%} of strangers' clips in a gallery of this size"
    if not observed or observed[-1].fpir > rate:
        yield (
            f"  extrapolated: {enrolment.strangers} clips of strangers are too few to observe {rate:.1%}; "
            f"{3 / rate:.0f} would do"
        )
    whose = (
        f"{enrolment.people} strangers"
        if enrolment.people
        else "the enrolled voices, each a stranger to the others"
    )
    yield (
        f"named rightly: {enrolment.detected.percent()} of {enrolment.genuine} clips, each left out of its own voice"
    )
    yield f"named wrongly: {enrolment.false_alarms.percent()} of {enrolment.strangers} clips of {whose}"
    if not enrolment.people:
        yield "  give STRANGERS=folder for a threshold from people who will not be enrolled"
    if enrolment.unheard:
        yield (
            f"{enrolment.unheard} sounds without a voice are as near to enrolled clips as their own voice is, and may "
            "be named: an embedding that was trained on more people tells them apart"
        )
    if enrolment.doubts:
        yield "clips that do not match their own voice: listen to them, or leave them out"
    for doubt in enrolment.doubts[:SHOWN]:
        nearest = "" if doubt.nearest == doubt.voice else f", nearer to {doubt.nearest}"
        yield f"  {doubt.voice}/{doubt.clip}: {doubt.score:.2f}{nearest}"
    if len(enrolment.doubts) > SHOWN:
        yield f"  and {len(enrolment.doubts) - SHOWN} more"


def of_guard(guarding: Guarding, rate: float, sounds: int) -> Iterator[str]:
    """What a guard's calibration measured, method by method."""
    manifest = guarding.guard.manifest
    yield f"{manifest.clips} clips of {manifest.labels} labels, {manifest.strangers} of {manifest.people} strangers"
    yield f"named rightly without a guard: {guarding.closed.percent()} of the clips"
    yield f"with one, where {rate:.1%} of strangers' clips may get a label:"
    for method, found in guarding.methods.items():
        yield (
            f"  {method}: {found.named.percent()} named rightly, {found.false_alarms.percent()} of strangers' named, "
            f"{found.sounds} of {sounds} sounds without a voice unknown"
        )
    if not all(found.observed for found in guarding.methods.values()):
        yield (
            f"  extrapolated: {manifest.strangers} clips of strangers are too few to observe {rate:.1%}; "
            f"{3 / rate:.0f} would do"
        )
    yield f"best here: {guarding.best()}"
