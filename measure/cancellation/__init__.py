"""What callers cost that hang up: `python -m measure.cancellation` → a part of docs/results/fairness.md.

storm      callers that send a clip and hang up
traffic    one run: a storm beside callers who stay → its figures
page       the part of the page
"""

from pathlib import Path

FOLDER = Path(__file__).parent / "results"
