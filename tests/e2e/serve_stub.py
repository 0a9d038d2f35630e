"""`python -m serving.serve` around stub_handler.py, which loads in a second.

Only what is served is another; starting, watching, draining and stopping are the real ones. Run in a folder that has
model_store/stub.mar.
"""

import sys

from bundle import archive, archived, sources, store
from serving import serve

archived.read = lambda mar: sources.ModelSpec(name="stub", source="stub", version=store.version_of(mar))
archive.build = lambda spec, store: store / f"{spec.name}.mar"
sources.resolve = lambda *_: sources.ModelSpec(name="stub", source="stub")

if __name__ == "__main__":
    sys.exit(serve.main())
