"""`make batch`: identify an archive of recordings.

python -m serving.batch --port 8080 -- --in recordings/ --out answers.jsonl
"""

from __future__ import annotations

import sys

from clients.batch import command
from serving.asked import ask

if __name__ == "__main__":
    sys.exit(ask("batch", command.main, "-m clients.batch"))
