"""What the adapters of all servers share, misbehaving when a request's header asks it to, and otherwise as shipped.

`X-Request-Id: chaos.FAULT.TOKEN` on any clip, since that header reaches the worker through the gateway. The fault
happens once a token, so that the gateway's second attempt at the same request finds a healthy worker; the token
`always` makes it happen every time. The file chaos-TOKEN in the worker's working directory says that it has begun.

| linger     | sleep for 3 s before the batch                                          |
| hang       | sleep forever, which only the end of the worker at responseTimeout ends |
| oom        | Python's allocator has no memory for a batch with this clip             |
| oom-torch  | torch's has none                                                        |

measure/chaos/archives.py puts this file into an archive in the place of the shipped speaker_worker.py, which becomes
speaker_id/shipped.py; the adapters, which import it by name, are as shipped.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from speaker_id.audio import decode
from speaker_id.clip import EncodedAudio
from speaker_id.job import Outcome
from speaker_id.protocol import Payload

if TYPE_CHECKING:
    import speaker_worker as shipped
    from speaker_worker import Answer, Asked, fair_share, payload

    from measure.chaos.faulty_encoder import HOARDS, FaultyEncoder, begins
else:
    from speaker_id import shipped
    from speaker_id.faulty_encoder import HOARDS, FaultyEncoder, begins
    from speaker_id.shipped import Answer, Asked, fair_share, payload

__all__ = ["Answer", "Asked", "Worker", "fair_share", "payload"]  # what the adapters import

LINGER_SECONDS = 3.0
FOR_EVER = 3600.0  # seconds
SLEEPS = {"linger": LINGER_SECONDS, "hang": FOR_EVER}


class Worker(shipped.Worker):
    def load(self, *args: Any, **kwargs: Any) -> None:
        super().load(*args, **kwargs)
        self.encoder = FaultyEncoder(self.pipeline.encoder)
        self.pipeline = replace(self.pipeline, encoder=self.encoder)

    def identify(self, payloads: Sequence[Payload]) -> list[Outcome]:
        self.encoder.disarm()
        for each in payloads:
            marker, _, order = each.headers.get("x-request-id", "").partition(".")
            if marker == "chaos":
                self.obey(each, *order.split("."))
        return super().identify(payloads)

    def obey(self, asked: Payload, fault: str, token: str) -> None:
        if fault in SLEEPS:
            if begins(token):
                time.sleep(SLEEPS[fault])
            return
        clip = EncodedAudio(bytes(asked.parts["body"]))
        waveform = decode(
            clip, sampling_rate=self.pipeline.sampling_rate, max_seconds=FOR_EVER, min_samples=1
        ).waveform
        self.encoder.arm(HOARDS[fault], token, len(waveform))
