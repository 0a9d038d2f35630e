"""`make identify`: ask a server who speaks, with the client that API consumers copy.

python -m serving.identify --port 8080 -- --top-k 3 clip.wav
"""

from __future__ import annotations

import sys

from clients import identify
from serving.asked import ask

if __name__ == "__main__":
    sys.exit(ask("identify", identify.main, "clients/identify.py"))
