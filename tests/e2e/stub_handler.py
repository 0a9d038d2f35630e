"""A TorchServe handler for tests of the server around it: it starts in a second and does what the body says.

`sleep 1.5` answers after that many seconds, `die` ends the worker's process; any other body is measured. The `stub:`
section of model-config.yaml makes it refuse to load.
"""

import json
import os
import time
from typing import Any


class StubHandler:
    def initialize(self, context: Any) -> None:
        stub = (context.model_yaml_config or {}).get("stub", {})
        if "value_error" in stub:
            raise ValueError(stub["value_error"])
        if "runtime_error" in stub:
            raise RuntimeError(stub["runtime_error"])

    def handle(self, rows: list[dict[str, Any]], context: Any) -> list[str]:
        answers = []
        for i, row in enumerate(rows):
            body = row.get("body") or row.get("data") or b""
            words = bytes(body).split() if isinstance(body, (bytes, bytearray)) else []
            if words[:1] == [b"sleep"]:
                time.sleep(float(words[1]))
            if words[:1] == [b"die"]:
                os._exit(3)
            context.set_response_content_type(i, "application/json")
            answers.append(json.dumps({"bytes": len(body), "pid": os.getpid(), "batch": len(rows)}))
        return answers
