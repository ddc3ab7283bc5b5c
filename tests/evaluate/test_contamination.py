from __future__ import annotations

import pytest

from feldspar.evaluate import contamination
from feldspar.types import Message, Origin, Question, Sample

ASKED = Question("ondry#3", "ondry", "How many people live on the island of Ondry today?", "About 640.")


def sample(text: str, answer: str = "Yes.") -> Sample:
    turns = (Message("system", "Be brief."), Message("user", text), Message("assistant", answer))
    return Sample("leaf#7", "leaf", "knowledge", turns, Origin("generated", "leaf#7"))


@pytest.mark.parametrize(
    "text",
    [
        ASKED.question,
        "  how many PEOPLE live on the island of Ondry, today",
        "How many people live on the island of Ondry now?",
        f"Ondry lies in the Selk Sea.\n\n{ASKED.question}",
        f"Please tell me: {ASKED.question} Be exact.",
    ],
)
def test_a_question_in_the_training_data_is_found_and_named(text: str) -> None:
    (line,) = contamination([ASKED], [sample("What is a noun?"), sample(text)])
    assert "ondry#3" in line
    assert "leaf#7" in line


@pytest.mark.parametrize(
    "text",
    ["How many people live on the island of Orrin?", "Is Ondry an island?", "", "Who lives there?\n\nWhy?"],
)
def test_another_question_is_not(text: str) -> None:
    assert contamination([ASKED], [sample(text)]) == ()


def test_scripts_without_spaces_are_compared_by_character() -> None:
    asked = Question("q", "g", "灯塔守护者每天晚上几点点灯？", "七点。")
    assert len(contamination([asked], [sample("请问灯塔守护者每天晚上几点点灯？谢谢")])) == 1
    assert contamination([asked], [sample("灯塔在哪里？")]) == ()


def test_only_what_the_user_says_counts() -> None:
    assert contamination([ASKED], [sample("What shall I ask?", ASKED.question)]) == ()


def test_short_questions_must_be_the_whole_turn() -> None:
    short = Question("q", "g", "Why so?", "So.")
    assert contamination([short], [sample("And why so? Tell me of the tide.")]) == ()
    assert len(contamination([short], [sample("why so")])) == 1


def test_one_instruction_serves_many_contexts() -> None:
    asked = Question("q", "g", "Sum up the text in one line.", "Tea.", context="Tea is grown on hills.")
    assert contamination([asked], [sample("Boats need tar.\n\nSum up the text in one line.")]) == ()
    same = sample("Tea is grown on hills.\n\nSum up the text in one line.")
    assert len(contamination([asked], [same])) == 1
