"""What tests of several files stand on."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from tests.tiny import make_tiny

# Before any test file copies the environment for its processes: nobody's own cache is read or written.
_CACHE = tempfile.TemporaryDirectory(prefix="feldspar-cache-")
os.environ["FELDSPAR_CACHE"] = _CACHE.name


@pytest.fixture(scope="session")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny student with random weights, which no test changes."""
    return make_tiny(tmp_path_factory.mktemp("student") / "tiny")
