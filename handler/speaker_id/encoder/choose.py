"""Which encoder serves a checkpoint."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from speaker_id.checkpoint import Checkpoint
from speaker_id.encoder import plans
from speaker_id.encoder.contract import Encoder
from speaker_id.encoder.packed import PackedEncoder, supports
from speaker_id.encoder.reference import ReferenceEncoder
from speaker_id.manifest import CheckpointError
from speaker_id.plan import FOLDER_VARIABLE
from speaker_id.settings import Settings

logger = logging.getLogger(__name__)


def choose(loaded: Checkpoint, settings: Settings, device: str) -> Encoder:
    """Return the packed encoder, or the reference encoder where the settings or the model require it.

    Args:
        loaded: a verified checkpoint on `device`; drop it afterwards: the packed encoder keeps no reference.
        settings: the model's.
        device: "cpu" or "cuda:N".

    Raises:
        CheckpointError: a precision that this model, device or archive does not support.
    """
    check = loaded.manifest.precision
    if settings.precision != "fp32" and (check is None or check.precision != settings.precision):
        raise CheckpointError(
            f"precision {settings.precision} was not checked against fp32 when the archive was built: "
            "build it again with `make archive`"
        )
    models = (loaded.model, *loaded.others)
    fault = next(filter(None, map(supports, models)), None)
    reason = "the settings ask for it" if settings.encoder == "reference" else fault
    if reason is None:
        try:
            kept = os.environ.get(FOLDER_VARIABLE)
            plan = plans.plan(
                settings.kernels,
                loaded.model.config,
                settings.precision,
                device,
                Path(kept) if kept else None,
            )
            packed = PackedEncoder(
                loaded.model,
                loaded.feature_extractor,
                device,
                settings.precision,
                others=loaded.others,
                plan=plan,
            )
        except ValueError as exc:
            raise CheckpointError(str(exc)) from exc
        logger.info("%s", packed.describe())
        return packed
    if settings.precision != "fp32":
        raise CheckpointError(f"precision {settings.precision} needs the packed encoder, but {reason}")
    logger.info("reference encoder, one clip at a time: %s", reason)
    return ReferenceEncoder(loaded.model, loaded.feature_extractor, device, loaded.others)
