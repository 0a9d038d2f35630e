"""Ray Serve as its documentation has it: a deployment with `serve.batch`, one replica a worker.

Against its defaults: five requests in flight a replica would cap batches at five, a replica's process is niced, torch
gets one thread, and the dashboard and usage statistics are of no use here.
"""

from __future__ import annotations

import asyncio
import signal
import tempfile
from typing import Any

import ray
from ray import serve
from starlette.requests import Request

from measure.compare.usual import BATCH_SECONDS, KEEP_ALIVE, Classifier, Setup

SETUP = Setup.read()


@serve.deployment(
    num_replicas=SETUP.workers,
    max_ongoing_requests=2 * SETUP.batch,  # one batch runs, the next one forms
    ray_actor_options={"num_cpus": SETUP.threads},
)
class Speaker:
    def __init__(self) -> None:
        self.classifier = Classifier(SETUP.model, SETUP.threads)

    @serve.batch(max_batch_size=SETUP.batch, batch_wait_timeout_s=BATCH_SECONDS)
    async def identify(self, clips: list[bytes]) -> list[Any]:
        return await asyncio.to_thread(self.classifier, clips)  # the replica goes on taking requests

    async def __call__(self, request: Request) -> Any:
        return await self.identify(await request.body())


if __name__ == "__main__":
    ray.init(
        num_cpus=max(2, SETUP.workers * SETUP.threads),
        include_dashboard=False,
        object_store_memory=200_000_000,
        _node_ip_address="127.0.0.1",
        _temp_dir=tempfile.gettempdir(),
    )
    serve.start(http_options={"host": "127.0.0.1", "port": SETUP.port, "keep_alive_timeout_s": KEEP_ALIVE})
    serve.run(Speaker.bind(), route_prefix="/identify")  # type: ignore[attr-defined]  # the decorator adds it
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    ray.shutdown()
