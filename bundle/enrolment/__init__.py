"""Recordings of voices → a gallery: who is enrolled, how scores become probabilities, and where "unknown" begins.

    recordings   folders of audio → voices' clips, and refusals of what is too little
    embedder     a checkpoint → an embedding a clip, as transformers computes it of that clip alone
    sounds       sounds without a voice, which a gallery knows as such
    trials       embeddings → scores of clips against the gallery, each clip left out of its own voice
    calibration  trials → the slope and thresholds that a gallery carries
    report       what was measured, with intervals, and clips that do not match their own voice

`python -m bundle.enrolment` is `make enrol`.
"""
