"""How the embedded demo model under ``models/demo`` is made, from the Debian packages to the card.

One module a stage, each runnable as ``python -m training.<module>``; ``python -m training`` runs them all:

    packages   Debian packages → verified, extracted prompts
    corpus     prompts of the ``voices`` → clip table and waveforms, ``split`` so that no sentence is on both sides
    variants   training waveforms → the same through telephone and lossy ``codecs``
    train      balanced, ``augment``-ed ``batches`` → a small Wav2Vec2ForSequenceClassification
    evaluate   held-out clips → evaluation.json
    samples    held-out clips → the sample clips and their manifest
    card       evaluation.json → the tables of the model card

Voices of one's own and "unknown" take more voices than six, and a second training that goes on from the first:

    people_corpus  recordings of other ``people`` → clips, and the table in people.md
    joint          everybody's clips → one backbone with the ``heads`` speaker, language and voice
    language       the same clips → the language head again, each person counting alike
    guard          clips of the calibration people → what tells strangers from the six

Two stand apart: ``recordings`` checks the split for one recording on both sides, and ``widen`` turns the small
model into the full-size benchmark checkpoint.
"""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
WORK_DIR = REPOSITORY / "build" / "training"  # everything intermediate; ignored by git
FIRST_DIR = WORK_DIR / "speaker"  # the speaker model, before everybody's voices
MODEL_DIR = REPOSITORY / "models" / "demo"  # what is committed

SAMPLE_RATE = 16_000  # Hz, of every waveform in this package unless its name says otherwise
