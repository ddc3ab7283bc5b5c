"""What `import feldspar` offers, and that the version is the changelog's."""

from __future__ import annotations

import re
from pathlib import Path

import feldspar


def test_every_public_name_is_there() -> None:
    for name in feldspar.__all__:
        assert callable(getattr(feldspar, name)), name


def test_the_version_is_the_changelog_s() -> None:
    text = (Path(__file__).parents[1] / "CHANGELOG.md").read_text(encoding="utf-8")
    found = re.search(r"(?m)^## (\S+)", text)
    assert found
    assert found[1] == feldspar.__version__
