"""`make verify-published`: does the published checkpoint, as served here, give its known answers?

transformers' own test of the checkpoint (`test_inference_speaker_identification`) states the best label and its logit
for four clips of SUPERB's demo data, alone, unpadded and with no mask; the logits are s3prl's. The reference encoder
and the encoder that serves are both held to them.

Exit codes: 0 they agree, 1 they do not or something is wrong, 77 skipped: the hub cannot be reached.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet
from huggingface_hub import HfApi, constants, hf_hub_download
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import httpx  # type: ignore[attr-defined]  # exported lazily
from rich.console import Console
from speaker_id.clip import Waveform
from speaker_id.errors import RequestError
from speaker_id.manifest import CheckpointError

from bundle import BundleError, archive, sources
from bundle.command_line import Parser
from clients.identify import SUFFIXES
from measure.document import Table
from measure.evaluation import EvaluationError
from measure.workload import decoded
from training import SAMPLE_RATE

MODEL = "wav2vec2-base-superb-sid"
DATASETS = ("anton-l/superb_dummy", "anton-l/superb_demo")  # the test's own, and the one of the model's card
REVISIONS = ("main", "refs/convert/parquet")  # the latter is what the hub made of a dataset that was a script
PARQUET = re.compile(r"si/(.*test.*)\.parquet")
TOLERANCE = 1e-2  # of a logit, absolute; the test's own
SKIPPED = 77  # automake's exit code for a test that could not be run
NOT_THERE = (401, 403, 404)  # the hub answers any of them for what is private or missing
PATIENCE = 20.0  # s, for the hub to say what it has


@dataclass(frozen=True)
class Known:
    """A clip's stated answer."""

    label: int
    logit: float


KNOWN = (Known(251, 37.5627), Known(1, 71.6362), Known(1, 64.2419), Known(3, 31.7778))


@dataclass(frozen=True)
class Found:
    """A clip's answer by one encoder."""

    encoder: str
    clip: int
    label: int
    logit: float

    def agrees(self, known: Known) -> bool:
        return self.label == known.label and abs(self.logit - known.logit) <= TOLERANCE


def clips() -> list[Waveform]:
    """The four clips from the hub.

    Raises:
        EvaluationError: the hub answers, but has no such clips.
    """
    looked: list[str] = []
    for repo in DATASETS:
        for revision in REVISIONS:
            looked.append(f"{repo}@{revision}")
            try:
                listing = HfApi().dataset_info(repo, revision=revision, timeout=PATIENCE).siblings or []
            except HfHubHTTPError as exc:
                if exc.response.status_code not in NOT_THERE:
                    raise
                continue
            if files := sorted(each.rfilename for each in listing if PARQUET.fullmatch(each.rfilename)):
                path = hf_hub_download(repo, files[0], repo_type="dataset", revision=revision)
                return [waveform(row) for row in rows(Path(path))]
    raise EvaluationError(
        f"the hub has no si/…test….parquet in {', '.join(looked)}: give a folder of the four clips, in the order of "
        'their names: ARGS="--clips folder"'
    )


def rows(path: Path) -> list[dict[str, object]]:
    table = pyarrow.parquet.read_table(path).slice(0, len(KNOWN))
    found: list[dict[str, object]] = table.to_pylist()
    return found


def waveform(row: dict[str, object]) -> Waveform:
    """A row's `speech`, samples at 16 kHz, or its `audio`, the bytes of a file."""
    if isinstance(row.get("speech"), list):
        return np.asarray(row["speech"], np.float32)
    recording = row.get("audio")
    if isinstance(recording, dict) and isinstance(recording.get("bytes"), bytes):
        return decode(recording["bytes"], "the dataset's clip")
    raise EvaluationError(f"the dataset's columns {', '.join(row)} hold no speech and no audio")


def decode(content: bytes, name: str) -> Waveform:
    try:
        return decoded(content, SAMPLE_RATE)
    except RequestError as exc:
        raise EvaluationError(f"{name}: {exc.message}") from exc


def from_folder(folder: Path) -> list[Waveform]:
    """The first four audio files, by name."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)[: len(KNOWN)]
    return [decode(file.read_bytes(), str(file)) for file in files]


def ask(waveforms: Sequence[Waveform]) -> Iterator[Found]:
    """Both encoders' answers, clip by clip.

    Raises:
        BundleError, CheckpointError: the checkpoint cannot be fetched or loaded.
    """
    # here, not above: they take seconds to import, and an unreachable hub is reported before that
    from speaker_id import checkpoint
    from speaker_id.encoder import choose
    from speaker_id.encoder.contract import Encoder
    from speaker_id.encoder.reference import ReferenceEncoder

    spec = sources.resolve(MODEL)
    loaded = checkpoint.load(archive.prepare(spec))
    asked: dict[str, Encoder] = {
        "reference": ReferenceEncoder(loaded.model, loaded.feature_extractor, "cpu"),
        "serving": choose.choose(loaded, spec.speaker_id, "cpu"),
    }
    for name, encoder in asked.items():
        for number, clip in enumerate(waveforms):
            (logits,) = encoder([clip])
            yield Found(name, number, int(logits.argmax()), float(logits.max()))


def verify(waveforms: Sequence[Waveform], console: Console) -> bool:
    """Print every answer beside the known one; whether all agree."""
    if len(waveforms) != len(KNOWN):
        raise EvaluationError(f"{len(waveforms)} clips were found, {len(KNOWN)} have known answers")
    rows, verdicts = [], []
    for found in ask(waveforms):
        known = KNOWN[found.clip]
        verdicts.append(found.agrees(known))
        labels, logits = (str(found.label), str(known.label)), (f"{found.logit:.4f}", f"{known.logit:.4f}")
        rows.append(
            (found.encoder, str(found.clip + 1), *labels, *logits, "agrees" if verdicts[-1] else "differs")
        )
    table = Table(("encoder", "clip", "label", "known", "logit", "known", ""), rows, align="lllllll")
    console.print(table.rich(f"{MODEL}: known answers"))
    return all(verdicts)


def unreachable() -> str | None:
    """Why the hub cannot be reached; None if it answers anything."""
    if constants.is_offline_mode():
        return "HF_HUB_OFFLINE is set, and not everything is in the cache"
    try:
        HfApi().model_info(sources.resolve(MODEL).source, timeout=PATIENCE)
    except HfHubHTTPError as exc:
        status = exc.response.status_code
        return f"{constants.ENDPOINT} answers {status}" if status >= 500 else None
    except (httpx.HTTPError, OSError) as exc:
        return f"{constants.ENDPOINT} cannot be reached ({type(exc).__name__})"
    return None


def main(arguments: list[str] | None = None) -> int:
    parser = Parser(prog="make verify-published", description="Check the known answers.")
    parser.add_argument("--clips", type=Path, help="folder of the four clips, in the order of their names")
    options = parser.parse_args(arguments)
    try:
        agree = verify(from_folder(options.clips) if options.clips else clips(), Console())
    except (EvaluationError, CheckpointError) as exc:
        print(f"verify-published: {exc}", file=sys.stderr)
        return 1
    except (BundleError, httpx.HTTPError, OSError) as exc:
        reason = unreachable()
        if reason is None:
            print(f"verify-published: {' '.join(str(exc).split())}", file=sys.stderr)
            return 1
        print(f"verify-published: skipped: {reason}", file=sys.stderr)
        return SKIPPED
    print("verify-published: every answer is the known one" if agree else "verify-published: they differ")
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
