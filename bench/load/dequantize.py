"""Seconds that the Python package gguf takes to open a file and to make f32 of all of it: dequantize.py FILE"""

import sys
import time

from gguf import GGUFReader
from gguf.quants import dequantize

start = time.perf_counter()
for tensor in GGUFReader(sys.argv[1]).tensors:
    dequantize(tensor.data, tensor.tensor_type)
print(time.perf_counter() - start)
