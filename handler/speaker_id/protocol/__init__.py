"""The request and response bodies: a caller's payload → `Request`, its rankings → a body of the same form.

| form | body | answer |
|---|---|---|
| ranking | audio bytes, multipart, or Hugging Face's `{"inputs": base64, "parameters"}` | `[{"label", "score"}, …]` |
| v1 | KServe v1: `{"instances": [{"b64"} or {"array", "sampling_rate"}, …], "parameters"}` | `{"predictions": …}` |
| v2 | Open Inference Protocol: `{"inputs": [tensor, …], "parameters", "id"}` | `{"outputs": [label, score]}` |
| gRPC | Open Inference's `ModelInferRequest` | `ModelInferResponse` |

In v2, tensors may be binary: their bytes follow the JSON, in a request and in its answer.
A model of several heads answers an object of rankings by head in place of a ranking, and in v2 `HEAD.label` and
`HEAD.score`; its default head answers what names no heads, as the head of a model of one. With `output: "embedding"`, a
clip's answer is `{"model", "revision", "dim", "embedding"}` in place of a ranking, and in v2 the output `embedding`.
"""

from speaker_id.protocol.deadline import deadline
from speaker_id.protocol.message import write_message
from speaker_id.protocol.parse import options_beside, parse, parse_json
from speaker_id.protocol.render import Embeddings, check_size, dump, least_bytes, render
from speaker_id.protocol.request import (
    EMBEDDING,
    Class,
    Model,
    Options,
    Output,
    Payload,
    Ranking,
    Rankings,
    Request,
    Space,
    Tensors,
)
from speaker_id.protocol.tensors import Named, outputs_of, render_tensors

__all__ = [
    "EMBEDDING",
    "Class",
    "Embeddings",
    "Model",
    "Named",
    "Options",
    "Output",
    "Payload",
    "Ranking",
    "Rankings",
    "Request",
    "Space",
    "Tensors",
]
__all__ += [
    "check_size",
    "deadline",
    "dump",
    "least_bytes",
    "options_beside",
    "outputs_of",
    "parse",
    "parse_json",
    "render",
    "render_tensors",
    "write_message",
]
