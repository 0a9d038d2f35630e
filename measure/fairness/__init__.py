"""Whether one greedy caller is felt by the others: `python -m measure.fairness` → docs/results/fairness.md.

callers    the file of tokens, and what each caller may send in a run
traffic    one run: the greedy caller and the others, at once → its figures
page       the page
"""

from pathlib import Path

FOLDER = Path(__file__).parent / "results"
