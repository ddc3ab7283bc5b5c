"""§3.3 and Table 1: generated samples and foundational datasets, dealt into phases with replay buffers."""

from feldspar.mix.datasets import Dataset, licence_said, questions_of, read_dataset
from feldspar.mix.phases import Mix, mix
from feldspar.mix.rows import row_from_json, row_to_json
from feldspar.mix.sources import Source, dataset_digest, find_dataset

__all__ = [
    "Dataset",
    "Mix",
    "Source",
    "dataset_digest",
    "find_dataset",
    "licence_said",
    "mix",
    "questions_of",
    "read_dataset",
    "row_from_json",
    "row_to_json",
]
