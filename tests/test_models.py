"""From the recipe's names to models."""

from __future__ import annotations

from pathlib import Path

import pytest

from feldspar import models
from feldspar.recipe import load

REMOTE = ("teacher.endpoints=[http://127.0.0.1:9/v1]", "teacher.model=m")


@pytest.mark.parametrize(
    ("sets", "tokens"),
    [
        (("generate.passage_tokens=77",), 77),
        ((), 1000),  # 4096 less the prompt's room, halved, is more than teaches well
        (("teacher.context=2600",), 500),
        (("teacher.context=1700",), 128),
        (("teacher.context=131072",), 1000),
    ],
)
def test_passages_are_sized_from_the_teachers_context(
    sets: tuple[str, ...], tokens: int, tmp_path: Path
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("taxonomy: .\n")
    assert models.plan_teacher(load(recipe, (*REMOTE, *sets))).passage_tokens == tokens
