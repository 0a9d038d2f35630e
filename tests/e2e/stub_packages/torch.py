"""What TorchServe's worker looks up in torch, for the archives of stubs.

Their workers import this file instead of torch, because an archive's folder is on their path: importing torch is nine
tenths of the processor time that such a worker needs to start, and a hundred of them are started.
"""


class Tensor:
    """An answer of this type would be sent as a file; a stub's are text."""
