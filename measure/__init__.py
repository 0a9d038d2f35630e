"""Measurements of what is served, and the ground floor that they share.

machine    what a figure was measured on: processor, versions, commit, and how busy the machine was
workload   clips to measure with: seeded durations as VoxCeleb's, filled with real voices
full_size  the demo model at wav2vec2-base's size
results    files of results: appended, read, compared
document   tables put between a document's markers
noise      how long the machine's other work took

bench the encoders, loadtest a server, evaluation how often the right speaker is named, compare other servers, chaos
what survives a fault, autoscale fleets, dashboard the monitoring pages.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
