"""§3.1: a taxonomy of knowledge and skills, from the files people write to leaves and passages.

`read` gives the leaves and every problem of all files; `check` is the same reader without the leaves;
`passages` cuts a document into pieces that fit a prompt.
"""

from __future__ import annotations

from feldspar.taxonomy.documents import Library, cache_folder
from feldspar.taxonomy.licences import Gate, admit, rule
from feldspar.taxonomy.passages import passages
from feldspar.taxonomy.problems import Problem
from feldspar.taxonomy.reader import Reading, check, read

__all__ = [
    "Gate",
    "Library",
    "Problem",
    "Reading",
    "admit",
    "cache_folder",
    "check",
    "passages",
    "read",
    "rule",
]
