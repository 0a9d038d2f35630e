"""FastAPI around transformers' pipeline: an endpoint that FastAPI runs in its threads, as many as there are workers.

FastAPI forms no batches, so each clip runs alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import torch
import uvicorn
from anyio import to_thread
from fastapi import Body, FastAPI
from transformers import pipeline

from measure.compare.usual import KEEP_ALIVE, Setup, decode

SETUP = Setup.read()
torch.set_num_threads(SETUP.threads)
classifier = pipeline("audio-classification", model=str(SETUP.model), device="cpu", dtype=torch.float32)
sampling_rate = classifier.feature_extractor.sampling_rate


@asynccontextmanager
async def limited(_: FastAPI) -> AsyncIterator[None]:
    to_thread.current_default_thread_limiter().total_tokens = SETUP.workers
    yield


app = FastAPI(lifespan=limited)


@app.post("/identify")
def identify(audio: Annotated[bytes, Body(media_type="audio/wav")]) -> Any:
    return classifier({"raw": decode(audio, sampling_rate), "sampling_rate": sampling_rate})


@app.get("/health")
async def health() -> str:
    return "ok"


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=SETUP.port, log_level="warning", timeout_keep_alive=KEEP_ALIVE)
