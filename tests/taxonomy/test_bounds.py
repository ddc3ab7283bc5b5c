"""Files that are small and legal, and made to cost much: each is read in bounds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.taxonomy import leaves

from feldspar.spdx import expressions, spdx
from feldspar.taxonomy import check


@contextmanager
def within(seconds: float) -> Iterator[None]:
    started = time.process_time()
    yield
    assert time.process_time() - started < seconds


def test_a_number_to_base_sixty_is_not_added_up(tmp_path: Path) -> None:
    text = leaves.skill(3).replace("version: 3", "version: " + "1" + ":1" * 100_000)
    leaves.write(tmp_path, "compositional_skills/x", text)
    with within(1.0):
        problems = check([tmp_path])
    assert ("version", 1) in [(p.rule, p.line) for p in problems]


def test_keys_that_would_share_a_hash_do_not(tmp_path: Path) -> None:
    modulus = 2**61 - 1
    pair = "".join(f"          {modulus * n}: x\n" for n in range(1, 30_000))
    text = leaves.knowledge().replace(
        "        answer: That 0 0.\n", "        answer: That 0 0.\n        more:\n" + pair
    )
    leaves.write(tmp_path, "knowledge/x", text)
    with within(3.0):
        assert [p.rule for p in check([tmp_path]) if p.severity == "error"] == []


def test_whole_files_are_not_kept_as_licences() -> None:
    spdx("MIT")
    before = expressions._spdx.cache_info().currsize
    for number in range(50):
        assert spdx(f"{number} " * 10_000) == ""
    assert expressions._spdx.cache_info().currsize == before
