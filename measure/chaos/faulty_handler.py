"""The shipped handler, which misbehaves when a request's header asks it to, and otherwise answers as usual.

`X-Request-Id: chaos.FAULT.TOKEN` on any clip, since that header reaches the handler through the gateway. The fault
happens once a token, so that the gateway's second attempt at the same request finds a healthy worker; the token
`always` makes it happen every time. The file chaos-TOKEN in the working directory, the unpacked archive, says that
it has begun.

| linger     | sleep for 3 s before the batch                                 |
| hang       | sleep forever,  which only TorchServe's responseTimeout ends   |
| oom        | Python's allocator has no memory for a batch with this clip    |
| oom-torch  | torch's has none                                               |

measure/chaos/archives.py puts this file into an archive in the place of the shipped one, which becomes
speaker_id/shipped.py.
TorchServe takes a file with one class alone, so the encoder is another file.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from speaker_id.audio import decode
from speaker_id.clip import EncodedAudio

if TYPE_CHECKING:
    from speaker_handler import SpeakerHandler

    from measure.chaos.faulty_encoder import HOARDS, FaultyEncoder, begins
else:
    from speaker_id.faulty_encoder import HOARDS, FaultyEncoder, begins
    from speaker_id.shipped import SpeakerHandler

LINGER_SECONDS = 3.0
FOR_EVER = 3600.0  # seconds
SLEEPS = {"linger": LINGER_SECONDS, "hang": FOR_EVER}


class FaultyHandler(SpeakerHandler):
    def initialize(self, context: Any) -> None:
        super().initialize(context)
        self.encoder = FaultyEncoder(self.pipeline.encoder)
        self.pipeline = replace(self.pipeline, encoder=self.encoder)

    def handle(self, rows: Sequence[Mapping[str, Any]], context: Any) -> list[bytes]:
        self.encoder.disarm()
        for index, row in enumerate(rows):
            for name, value in context.get_all_request_header(index).items():
                if name.lower() == "x-request-id" and str(value).startswith("chaos."):
                    self.obey(row, *str(value).split(".")[1:])
        return super().handle(rows, context)

    def obey(self, row: Mapping[str, Any], fault: str, token: str) -> None:
        if fault in SLEEPS:
            if begins(token):
                time.sleep(SLEEPS[fault])
            return
        clip = EncodedAudio(bytes(row["body"]))
        waveform = decode(
            clip, sampling_rate=self.pipeline.sampling_rate, max_seconds=FOR_EVER, min_samples=1
        ).waveform
        self.encoder.arm(HOARDS[fault], token, len(waveform))
