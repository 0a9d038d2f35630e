"""The splitter's process: python -m serving.recordings build/run/8080/splitter.json. `make serve` starts it."""

from __future__ import annotations

import asyncio
import resource
import signal
import sys
from pathlib import Path

from aiohttp import web

from serving.recordings.application import Splitter
from serving.recordings.configuration import Configuration


async def serve(configuration: Configuration) -> None:
    """Answer until SIGTERM; the service has drained the gateway before."""
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    runner = Splitter(configuration).runner()
    await runner.setup()
    await web.UnixSite(runner, str(configuration.listen)).start()
    await stopped.wait()
    await runner.cleanup()


if __name__ == "__main__":
    # a caller and its group are a connection each; many systems' soft limit is 1,024
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(serve(Configuration.read(Path(sys.argv[1]))))
