"""The fields of KServe's objects, from the `kserve` package's models: tests compare the manifests with them.

build/kserve/bin/python deploy/kserve/fields.py > tests/unit/deploy/kserve-fields.json
"""

from __future__ import annotations

import json
import re
import sys
from importlib.metadata import version

from kserve import models

ROOTS = ("V1beta1InferenceService", "V1alpha1ServingRuntime", "V1alpha1ClusterStorageContainer")


def fields(roots: tuple[str, ...] = ROOTS) -> dict[str, dict[str, str]]:
    """Each class's fields with their types, as written in a manifest; Kubernetes' own classes are not followed."""
    found: dict[str, dict[str, str]] = {}
    wanted = list(roots)
    while wanted:
        name = wanted.pop()
        model = getattr(models, name, None)
        if model is None or name in found or name.endswith("Status"):
            continue
        types = model.openapi_types
        found[name] = {written: types[field] for field, written in sorted(model.attribute_map.items())}
        wanted += [word for each in types.values() for word in re.findall(r"\w+", each)]
    return dict(sorted(found.items()))


if __name__ == "__main__":
    # one class a line, so that a newer version gives a readable diff
    rows = [f"  {json.dumps(name)}: {json.dumps(types)}" for name, types in fields().items()]
    sys.stdout.write(f'{{"kserve": "{version("kserve")}", "classes": {{\n' + ",\n".join(rows) + "\n}}\n")
