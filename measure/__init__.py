"""Measurements of what is served, and the modules that they share.

machine    what a figure was measured on: processor, versions, commit
sampling   memory and processor time of a process while it works
noise      how busy the machine was with other work
workload   clips to measure with: seeded durations as VoxCeleb's, filled with real voices
command    what the commands share: signals, errors, the terminal, the model that is measured
progress   how far a long run is
server     which server is measured: the one at URL=, one that runs, or one of the command's own
http       requests to a server on this machine
answer     any server's answer → its best label
environment  a virtual environment of its own, for software that cannot share this repository's
results    files of results: CSV rows of runs, and JSON
verdict    one target, and whether a run reached it
document   tables for terminal and document, and the part of a page that a command writes
figures    style and palette of every figure
pages      what README.md and docs/*.md quote from code and results

Above it: bench (encoders), loadtest (a server under load), evaluation (how often the right speaker is named), compare
(other servers), chaos (faults under load), autoscale (simulated fleets), dashboard (the monitoring pages), openset
("unknown"), recordings (who speaks when); and, of callers beside each other, fairness (shares), batch_job (an archive),
order (long work), cancellation (who hangs up).
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


class MeasureError(Exception):
    """A measurement cannot go on: one line that says why and what to do."""


class Unavailable(MeasureError):
    """Something that is measured cannot run here; the message says why."""
