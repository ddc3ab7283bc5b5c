"""The score that chooses a checkpoint: what a free answer recalls of its reference."""

from __future__ import annotations

import pytest

from feldspar.evaluate.choosing import added


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("It is Harwood.", 1.0),
        ("The forest of Ondry is a forest.", 0.0),
        ("", 0.0),
    ],
)
def test_only_what_the_reference_adds_counts(text: str, share: float) -> None:
    question = "What is the forest of Ondry called?"
    assert added(question, "The forest of Ondry is called Harwood.", text) == share


def test_a_part_of_it_is_a_part() -> None:
    half = added("What does the flag show?", "The flag shows a white bell.", "A white ship.")
    assert half == pytest.approx(0.5)


def test_a_reference_that_adds_nothing_is_recalled() -> None:
    assert added("Is the sea blue?", "The sea is blue.", "No.") == 1.0
