"""The usual model for Triton's Python backend: Hugging Face's, on the requests of a batch, padded to the longest.

In a batch of one, which is all that config.pbtxt then allows, nothing is padded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from measure.compare.usual import Classifier, Setup


class TritonPythonModel:
    def initialize(self, _args: Mapping[str, str]) -> None:
        setup = Setup.read()
        self.classifier = Classifier(setup.model, setup.threads)

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        audio = [pb_utils.get_input_tensor_by_name(request, "audio").as_numpy() for request in requests]
        rankings = self.classifier([clip.reshape(-1)[0] for clip in audio])
        texts = [np.array([[json.dumps(ranking)]], object) for ranking in rankings]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("ranking", text)]) for text in texts]
