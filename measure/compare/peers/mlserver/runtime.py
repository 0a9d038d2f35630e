"""MLServer with a custom runtime, as its documentation has it, adaptive batching and a pool of workers.

Its own Hugging Face runtime holds transformers below the version that all peers run here. Bodies are the Open Inference
Protocol's JSON, with audio in base64; the best label is repeated as the output's parameter, where any reader of JSON
finds it without parsing text within text.
"""

from __future__ import annotations

import json

from mlserver import MLModel
from mlserver.codecs import Base64Codec
from mlserver.types import InferenceRequest, InferenceResponse, Parameters, ResponseOutput

from measure.compare.usual import Classifier, Setup


class Speaker(MLModel):
    async def load(self) -> bool:
        self.setup = Setup.read()
        self.classifier = Classifier(self.setup.model, self.setup.threads)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        rankings = self.classifier(Base64Codec.decode_input(payload.inputs[0]))
        labels = [ranking[0]["label"] for ranking in rankings]
        output = ResponseOutput(
            name="ranking",
            shape=[len(rankings), 1],
            datatype="BYTES",
            data=[json.dumps(ranking) for ranking in rankings],
            # the batcher deals a list of a batch's parameters to its requests; without it nobody would
            parameters=Parameters(label=labels if self.setup.batch > 1 else labels[0]),
        )
        return InferenceResponse(model_name=self.name, outputs=[output])
