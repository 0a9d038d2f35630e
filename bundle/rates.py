"""False-alarm rates, as people write them."""

from __future__ import annotations

from speaker_id.settings import FPIR


def rate(given: object) -> float:
    """'1%', '0.01' or 0.01 → 0.01.

    Raises:
        ValueError: it is none that open sets have thresholds of.
    """
    text = str(given)
    try:
        value = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        value = 0.0
    least, most = FPIR
    if not least <= value <= most:
        percent = f": write {text}% if percent are meant" if least <= value / 100 <= most else ""
        raise ValueError(f"{text} is not a rate from {least:.1%} to {most:.0%}{percent}")
    return value
