"""A TorchServe handler for tests of the server around it: it starts in a second and does what the body says.

`sleep 1.5` answers after that many seconds, with a file busy-PID in the working directory meanwhile, `wait 1` too, but
a batch of them waits once, `lock 1.5` waits in a lock for as long and shows its batch as the shipped handler does,
`spin 1.5` computes as long, `start 60` starts a process that lives as long, `die` ends the
worker's process, `raise` is a bug; any other body is measured, and answered with the request's headers, in the form of
a label. The `stub:` section of model-config.yaml makes it refuse to load, or makes loading slow, or a second worker's.
"""

import json
import os
import subprocess
import threading
import time
from pathlib import Path
from typing import Any


class StubHandler:
    def initialize(self, context: Any) -> None:
        stub = (context.model_yaml_config or {}).get("stub", {})
        if "value_error" in stub:
            raise ValueError(stub["value_error"])
        if "runtime_error" in stub:
            raise RuntimeError(stub["runtime_error"])
        self.version = context.manifest["model"]["modelVersion"]
        time.sleep(stub.get("load_seconds", 0))
        if "slow_seconds" in stub:  # for all workers but the first
            try:
                Path("first").touch(exist_ok=False)  # the working directory is the unpacked archive, shared
            except FileExistsError:
                time.sleep(stub["slow_seconds"])

    def handle(self, rows: list[dict[str, Any]], context: Any) -> list[str]:
        answers, waits = [], [0.0]
        for i, row in enumerate(rows):
            body = row.get("body") or row.get("data") or b""
            words = bytes(body).split() if isinstance(body, (bytes, bytearray)) else []
            if words[:1] == [b"start"]:
                subprocess.Popen(["sleep", words[1]])
            if words[:1] == [b"wait"]:
                waits.append(float(words[1]))
            if words[:1] == [b"sleep"]:
                busy = Path(f"busy-{os.getpid()}")
                busy.touch()
                time.sleep(float(words[1]))
                busy.unlink()
            if words[:1] == [b"lock"]:
                lock, name = (
                    threading.Lock(),
                    Path("/proc/self/comm"),
                )  # as speaker_id.activity, which is not here
                name.write_text("batch 1")
                lock.acquire()
                lock.acquire(timeout=float(words[1]))
                name.write_text("idle")
            if words[:1] == [b"spin"]:
                until = time.monotonic() + float(words[1])
                while time.monotonic() < until:
                    pass
            if words[:1] == [b"die"]:
                os._exit(3)
            if words[:1] == [b"raise"]:
                raise ValueError("a bug, with a caller's text in it")
            context.set_response_content_type(i, "application/json")
            context.set_response_header(i, "X-Model-Version", self.version)
            answers.append(json.dumps([answer(body, context.get_all_request_header(i))]))
        time.sleep(max(waits))
        return answers


def answer(body: Any, headers: dict[str, Any]) -> dict[str, Any]:
    given = {name.lower(): value for name, value in headers.items() if isinstance(value, str)}
    return {"label": "stub", "score": 1.0, "bytes": len(body), "pid": os.getpid(), "headers": given}
