"""`python -m serving.serve` around stub_handler.py, which loads in a second.

Only what is served is another; starting, watching, draining and stopping are the real ones. Run in a folder that has
model_store/stub.mar; what platforms mount is looked for in its folder `mounted` rather than in the machine's root.
"""

import functools
import sys
from pathlib import Path

from bundle import archive, archived, sources, store
from bundle.spec import ModelSpec
from serving import platforms, serve

archived.read = lambda mar: ModelSpec(name="stub", source="stub", version=store.version_of(mar))
archive.build = lambda spec, store: store / f"{spec.name}.mar"
platforms.found = functools.partial(platforms.found, root=Path("mounted").absolute())
sources.resolve = lambda *_: ModelSpec(name="stub", source="stub")

if __name__ == "__main__":
    sys.exit(serve.main())
