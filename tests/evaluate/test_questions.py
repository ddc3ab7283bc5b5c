from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feldspar.errors import DatasetError
from feldspar.evaluate import choices, expected_facts, prompt_text, read_questions, read_texts
from feldspar.types import Question

GOOD = """\
questions:
  - question: How tall is the hill?
    answer: It is 412 metres tall.
    options: [It is 700 metres tall., It is 90 metres tall.]
    facts: ["412"]
  - question: Who lives there?
    answer: Edda Voss lives there.
    context: A village on a hill.
texts:
  - The sun warms the sea.
"""


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "hill.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_reads_both_lists(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    first, second = read_questions(path)
    assert (first.id, first.group) == ("hill#1", "hill")
    assert first.options == ("It is 412 metres tall.", "It is 700 metres tall.", "It is 90 metres tall.")
    assert first.facts == ("412",)
    assert (second.options, second.facts) == ((), ())
    assert prompt_text(second) == "A village on a hill.\n\nWho lives there?"
    assert read_texts(path) == ("The sun warms the sea.",)


def test_reads_a_bare_list(tmp_path: Path) -> None:
    path = write(tmp_path, "- {question: Why, answer: So}\n")
    assert [question.answer for question in read_questions(path)] == ["So"]
    assert read_texts(path) == ()


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("- question: a\n  answer: b\n  colour: c\n", 3, "`colour` is not a known key"),
        ("- question: a\n", 1, "question 1 has no `answer`"),
        ("- question: a\n  answer: 42\n", 2, "`answer` is not text"),
        ("- question: a\n  answer: ''\n", 2, "`answer` is empty"),
        ("- question: a\n  answer: b\n  facts: [412]\n", 3, "an entry of `facts` is not text"),
        ("- question: a\n  answer: b\n  options: [B]\n", 3, "or is the answer"),
        ("- question: a\n  answer: b\n  options: []\n", 3, "`options` is not a list, or is empty"),
        ("- question: a\n  question: b\n  answer: c\n", 2, "`question` is there twice"),
        ("questions:\n  a: b\n", 2, "`questions` is not a list"),
        ("answers: []\n", 1, "`answers` is not a known key"),
        ("questions: []\n", 1, "no questions and no texts"),
        ("- question: a\n   answer: b\n", 2, "is not YAML"),
        ("- just text\n", 1, "a mapping is expected"),
    ],
)
def test_says_where_and_how_to_mend(tmp_path: Path, text: str, line: int, told: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(DatasetError) as caught:
        read_questions(path)
    assert caught.value.what.startswith(f"{path}:{line}:")
    assert told in caught.value.what
    assert caught.value.mend


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff\xfe\x00", b"[" * 5000, b"a: \x01"])
def test_refuses_what_is_no_question_file(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DatasetError):
        read_questions(write(tmp_path, content))


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot be read"):
        read_questions(tmp_path / "none.yaml")


@settings(max_examples=80, deadline=None)
@given(
    text=st.text(max_size=80) | st.sampled_from(["- &a [*a]", "- *a", "? {}", "- !!python/object:os.x {}"])
)
def test_wild_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = write(tmp_path_factory.mktemp("wild"), text.encode("utf-8", "replace"))
    try:
        found = read_questions(path)
    except DatasetError as error:
        what, mend = error.what, error.mend
    else:
        what, mend = "hill.yaml", "none needed"
        assert all(question.question and question.answer for question in found)
    assert "hill.yaml" in what
    assert mend


def test_without_options_the_group_serves() -> None:
    asked = [Question(f"g#{k}", "g", f"q{k}", answer) for k, answer in enumerate(["A", "B", "b ", "C"])]
    asked.append(Question("h#1", "h", "alone", "A"))
    assert choices(asked) == (("A", "B", "C"), ("B", "C", "A"), ("b ", "C", "A"), ("C", "A", "B"), ("A",))


def test_a_large_group_offers_ten_others_at_most() -> None:
    asked = [Question(f"g#{k}", "g", "q", f"answer {k}") for k in range(40)]
    offered = choices(asked)
    assert {len(options) for options in offered} == {10}
    assert all(options[0] == question.answer for options, question in zip(offered, asked, strict=True))


def test_facts_that_the_question_gives_away_do_not_count() -> None:
    asked = Question("q", "g", "Who founded Pellam?", "In 1387 Pellam was founded by Isolde Marr.")
    assert "Pellam" not in expected_facts(asked)
    assert {"Isolde", "Marr", "1387"} <= set(expected_facts(asked))
    assert expected_facts(Question("q", "g", "Who?", "She did.")) == ()
