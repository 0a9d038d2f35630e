"""False-alarm rates, as people write them."""

from __future__ import annotations

LEAST, MOST = 0.001, 0.5


def rate(given: object) -> float:
    """'1%', '0.01' or 0.01 → 0.01.

    Raises:
        ValueError: it is none from 0.1% to 50%.
    """
    text = str(given)
    try:
        value = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        value = 0.0
    if not LEAST <= value <= MOST:
        raise ValueError(f"{text} is not a rate from 0.1% to 50%")
    return value
