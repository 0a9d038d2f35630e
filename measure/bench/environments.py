"""The packages of other software, an environment each: build/bench/environments/NAME, with requirements/NAME.txt.

python -m measure.bench.environments [NAME …]     makes them; `make bench` makes those that are missing

torch and transformers are not installed again, so that all compute with the same versions of them.
"""

from __future__ import annotations

import sys
import sysconfig

from measure import ROOT, Unavailable, environment
from measure.bench import BUILD

REQUIREMENTS = ROOT / "measure" / "bench" / "requirements"
ENVIRONMENTS = BUILD / "environments"


def packages(name: str) -> str:
    """The folder of the environment's own packages; installs them first if they are not there.

    Raises:
        Unavailable: they cannot be installed; has pip's reason.
    """
    requirements = REQUIREMENTS / f"{name}.txt"
    folder = ENVIRONMENTS / name
    environment.python(folder, requirements, behind=sysconfig.get_path("purelib"))
    (found,) = folder.glob("lib/python*/site-packages")
    return str(found)


def names() -> list[str]:
    return sorted(file.stem for file in REQUIREMENTS.glob("*.txt"))


def main(chosen: list[str]) -> int:
    missing = False
    for name in chosen or names():
        try:
            print(f"{name}: {packages(name)}", flush=True)
        except Unavailable as exc:
            print(f"{name}: {exc}", flush=True)
            missing = True
    return int(missing)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
