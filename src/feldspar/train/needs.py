"""Whether what training needs is installed; imported first, so that its absence is said in one line."""

from __future__ import annotations

from importlib.util import find_spec

from feldspar.errors import StudentError

INSTALL = 'pip install torch==2.13.0 && pip install "feldspar[train]"'

_MISSING = [
    name for name in ("torch", "transformers", "safetensors", "accelerate", "gguf") if find_spec(name) is None
]
if _MISSING:
    raise StudentError(f"training needs {', '.join(_MISSING)}: not installed", INSTALL)
