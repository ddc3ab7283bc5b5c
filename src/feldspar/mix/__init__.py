"""§3.3 and Table 1: generated samples and foundational datasets, dealt into phases with replay buffers."""

from feldspar.mix.datasets import read_dataset
from feldspar.mix.phases import Mix, mix
from feldspar.mix.rows import row_from_json, row_to_json

__all__ = ["Mix", "mix", "read_dataset", "row_from_json", "row_to_json"]
