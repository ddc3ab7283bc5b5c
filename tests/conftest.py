"""What tests of several files stand on."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.tiny import make_tiny


@pytest.fixture(scope="session")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny student with random weights, which no test changes."""
    return make_tiny(tmp_path_factory.mktemp("student") / "tiny")
