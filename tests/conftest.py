"""What tests of several files stand on."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import hypothesis
import pytest
from tests.tiny import make_tiny

# Before any test file copies the environment for its processes: nobody's own cache is read or written.
_CACHE = tempfile.TemporaryDirectory(prefix="feldspar-cache-")
os.environ["FELDSPAR_CACHE"] = _CACHE.name

# A machine that is busy with something else has no failing tests for it.
hypothesis.settings.register_profile("feldspar", deadline=None)
hypothesis.settings.load_profile("feldspar")


@pytest.fixture(scope="session")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny student with random weights, which no test changes."""
    return make_tiny(tmp_path_factory.mktemp("student") / "tiny")
