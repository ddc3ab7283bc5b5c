"""SPDX: the licences that people write about, as expressions of identifiers that everybody knows (§3.1).

`expressions` reads what was written, with `words` for what is no identifier and `names` for the tables.
"""

from feldspar.spdx.expressions import all_of, identifiers, known, missing, nearest, spdx

__all__ = ["all_of", "identifiers", "known", "missing", "nearest", "spdx"]
