"""Records made by hand."""

from __future__ import annotations

from measure.loadtest.drive import Record


def record(scheduled: float, latency: float = 0.1, **rest: object) -> Record:
    """One that was sent on time and answered rightly unless `rest` says otherwise."""
    fields: dict[str, object] = {
        "scheduled": scheduled,
        "sent": scheduled,
        "finished": scheduled + latency,
        "status": 200,
        "clip": "a.wav",
        "audio_seconds": 2.0,
        "url": "http://somewhere",
        "label": "anna",
    }
    return Record(**(fields | rest))  # type: ignore[arg-type]
