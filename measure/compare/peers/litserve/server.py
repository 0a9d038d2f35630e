"""LitServe as its documentation has it: one LitAPI, batches of several requests, workers on the CPU.

It reads JSON or a form and no other body, so clips come as a form's file.
"""

# No `from __future__ import annotations`: LitServe reads the annotation of `request` itself.
from typing import Any

import litserve
from fastapi import Request

from measure.compare.usual import BATCH_SECONDS, TIMEOUT, Classifier, Setup


class SpeakerAPI(litserve.LitAPI):
    def setup(self, _device: str) -> None:
        setup = Setup.read()
        self.classifier = Classifier(setup.model, setup.threads)

    def decode_request(self, request: Request) -> bytes:
        return request["audio"].file.read()  # LitServe hands over the form

    def batch(self, inputs: list[bytes]) -> list[bytes]:
        return inputs

    def predict(self, x: Any) -> Any:
        return self.classifier(x) if isinstance(x, list) else self.classifier([x])[0]

    def unbatch(self, output: Any) -> Any:
        return output

    def encode_response(self, output: Any) -> Any:
        return output


if __name__ == "__main__":
    chosen = Setup.read()
    api = SpeakerAPI(max_batch_size=chosen.batch, batch_timeout=BATCH_SECONDS if chosen.batch > 1 else 0.0)
    server = litserve.LitServer(
        api, accelerator="cpu", workers_per_device=chosen.workers, timeout=TIMEOUT, track_requests=False
    )
    server.run(host="127.0.0.1", port=chosen.port, log_level="warning", generate_client_file=False)
