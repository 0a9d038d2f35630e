"""Whether single clips keep their turn beside long work: `python -m measure.order` → docs/results/order.md.

sounds     what is sent: single clips, requests of 64, a recording
traffic    one run: single clips at independent times, and long work at once → its figures
cost       processor time a second of audio, and peak memory, of a recording and of clips
page       the page
"""

from pathlib import Path

FOLDER = Path(__file__).parent / "results"
