"""Whether live callers feel a batch job: `python -m measure.batch_job` → a part of docs/results/fairness.md.

job        `make batch` on many clips: paused, resumed, killed, and what its file of answers says
traffic    live callers beside it, phase after phase
page       the part of the page
"""

from pathlib import Path

FOLDER = Path(__file__).parent / "results"
