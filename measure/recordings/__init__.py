"""Who speaks when in long recordings: `python -m measure.recordings` → docs/results/recordings.md.

joined     held-out voices → recordings with a reference
scoring    reference and answers → errors, by pyannote.metrics in an environment of its own, where score.py runs
page       the page
decoding   what long recordings cost to decode: `python -m measure.recordings.decoding` → the same page
"""

from pathlib import Path

FOLDER = Path(__file__).parent / "results"
RESULTS = FOLDER / "recordings.json"
DECODING = FOLDER / "decoding.json"
