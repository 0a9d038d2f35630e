"""Is int8 worth serving? Its products alone, what they allow at best, and the whole encoder against what is served.

products   each linear layer's product, and the bound that follows for the encoder
encoders   both encoders: speed in turns, and agreement with fp32
quantised  the encoder in int8
page       the verdict, and the part of docs/results/benchmark.md

Speed is measured at full size, agreement there and with the trained demo model. The bar, which was set
beforehand, is `targets.INT8`. Modules that the command imports import torch where they need it: a processor must be
held to AVX2 before.
"""
