"""Each cloud platform's side, as its documentation has it: how it starts a container, and what it asks of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Side:
    """What a platform does.

    Attributes:
        health, predict: the paths that it asks.
        port: the variable that says where; the port is 8080 without one.
        argument: with which it starts the container.
        environment: its other variables; {mounted} stands for the folder that holds what it mounts.
        archive: where it mounts the model.
        repository: where it mounts a checkpoint instead, which is converted at the start.
    """

    health: str
    predict: str
    port: str = ""
    argument: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    archive: str = ""
    repository: str = ""


AZURE = yaml.safe_load((ROOT / "deploy/azureml/deployment.yaml").read_text())["environment"][
    "inference_config"
]
SIDES = {
    "sagemaker": Side("/ping", "/invocations", "SAGEMAKER_BIND_TO_PORT", ("serve",), archive="opt/ml/model"),
    "vertex": Side(
        "/v1/endpoints/1/deployedModels/2",
        "/v1/endpoints/1/deployedModels/2:predict",
        "AIP_HTTP_PORT",
        environment={
            "AIP_HEALTH_ROUTE": "/v1/endpoints/1/deployedModels/2",
            "AIP_PREDICT_ROUTE": "/v1/endpoints/1/deployedModels/2:predict",
            "AIP_STORAGE_URI": "",
        },
    ),
    "azure": Side(
        AZURE["readiness_route"]["path"],
        AZURE["scoring_route"]["path"],
        environment={"AZUREML_MODEL_DIR": "{mounted}/var/azureml-app/azureml-models/voices/1"},
        archive="var/azureml-app/azureml-models/voices/1/demo",
    ),
    "huggingface": Side("/health", "/", "PORT", repository="repository"),
}
