from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feldspar.generate.checks import known, likeness, loops, twin, within, words
from feldspar.generate.contamination import meets
from feldspar.generate.held import Held
from feldspar.generate.pack import Bounds


def lcs(one: list[str], other: list[str]) -> int:
    """The textbook's table, to hold the library against."""
    table = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i, a in enumerate(one):
        for j, b in enumerate(other):
            table[i + 1][j + 1] = table[i][j] + 1 if a == b else max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]


@given(
    st.lists(st.sampled_from("abcd"), min_size=1, max_size=9),
    st.lists(st.sampled_from("abcd"), min_size=1, max_size=9),
)
def test_likeness_is_rouge_l_s_f_measure(one: list[str], other: list[str]) -> None:
    common = lcs(one, other)
    precision, recall = common / len(other), common / len(one)
    f_measure = 2 * precision * recall / (precision + recall) if common else 0.0
    assert likeness(one, other) == pytest.approx(f_measure)


def test_the_likest_twin_is_named_and_the_earliest_of_equals() -> None:
    texts = {"a": "one two three four", "b": "One two, three four five!", "c": "one two three four five"}
    others = [known(name, (text,)) for name, text in texts.items()]
    found = twin(("one two three four five",), others, 0.7)
    assert found is not None
    assert (found[0].name, found[1]) == ("b", 1.0)
    assert twin(("nine ten",), others, 0.7) is None


def test_a_twin_is_like_in_all_its_parts() -> None:
    others = [known("a", ("a notice about chess on Friday", "List when and where"))]
    assert twin(("a poem of the sea in winter", "List when and where"), others, 0.7) is None
    assert twin(("a notice about chess on Friday", "Tell it to a child"), others, 0.7) is None
    found = twin(("a notice about chess on Monday", "List when and where"), others, 0.7)
    assert found is not None
    assert found[1] == pytest.approx(5 / 6)


def test_texts_without_words_are_like_their_equals_alone() -> None:
    assert twin(("?!",), [known("a", ("?!",))], 0.7) is not None
    assert twin(("?!",), [known("a", ("!!",))], 0.7) is None


@pytest.mark.parametrize(
    ("prompt", "instruction", "held"),
    [
        ("", "how deep IS the lake, please", True),
        ("Quarl is a lake.\n", "How deep is the lake?", True),
        ("Some say: how deep is the lake? Others do not.", "List what they say", True),
        ("", "How wide is the lake?", False),
        ("", "Deep?", False),
    ],
)
def test_held_out_questions_are_met_in_a_prompt_or_its_instruction(
    prompt: str, instruction: str, held: bool
) -> None:
    questions = Held.build(["What else?", "How deep is the lake?"])
    flaw = meets(f"{prompt}\n{instruction}", instruction, questions)
    assert bool(flaw) == held


def test_scripts_without_spaces_are_counted_by_character() -> None:
    assert len(words("深い湖はどこですか")) == 9
    assert words("Zoë's 3 Boote") == ["zoë", "s", "3", "boote"]
    assert words("湖は深い・ドコ？ 𠮷") == [*"湖は深いドコ𠮷"]
    assert words("ทะเลสาบลึก 41 ม.") == [*"ทะเลสาบลึก", "41", "ม"]


def test_vowels_and_accents_belong_to_their_words() -> None:
    assert words("झील कितनी गहरी है।") == ["झील", "कितनी", "गहरी", "है"]
    assert words("the cafe\u0301s") == ["the", "cafe\u0301s"]


def test_a_threshold_that_is_met_exactly_is_met() -> None:
    one = [f"w{n}" for n in range(39)]
    other = one[:30] + [f"v{n}" for n in range(6)]
    assert likeness(one, other, 0.8) == 0.8
    assert likeness(one, other, 0.801) == 0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("  \n", "empty"),
        ("two words", "too short"),
        ("one two three four five six seven?", "too long"),
        ("one two three four", "ill-formed"),
        ("What does the Passage say?", "does not stand alone"),
        ("What does the passageway hold?", ""),
    ],
)
def test_bounds(text: str, reason: str) -> None:
    bounds = Bounds(min_words=3, max_words=6, ends_with=("?",), forbid=("the passage",))
    flaw = within(text, "instruction", bounds)
    assert (flaw.reason if flaw else "") == reason


@pytest.mark.parametrize(
    ("language", "text", "reason"),
    [
        ("English", "How deep is the lake, as the text above has it?", "does not stand alone"),
        ("", "How deep is the lake according to this document?", "does not stand alone"),
        ("German", "Wie tief ist der See laut dem Text?", "does not stand alone"),
        ("German", "Wer schrieb den Text des Vertrags von Gent?", ""),
    ],
)
def test_a_text_that_is_to_stand_alone_speaks_of_no_passage(language: str, text: str, reason: str) -> None:
    flaw = within(text, "instruction", Bounds(stands_alone=True), language)
    assert (flaw.reason if flaw else "") == reason
    assert within(text, "instruction", Bounds(), language) is None


@pytest.mark.parametrize(
    "text",
    [
        "of the king of the two lands " * 4,
        "no " * 8,
        "and then " * 6,
        " ".join(f"line {n % 3} of a song that goes on" for n in range(20)),
    ],
)
def test_loops_are_found(text: str) -> None:
    flaw = loops(text, "response")
    assert flaw is not None
    assert flaw.reason == "repetitive"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Ha ha ha ha, said the gull.",
        "Row, row, row your boat, gently down the stream. Merrily, merrily, merrily, merrily.",
        "1. Put the kettle on. 2. Put the tea in. 3. Pour the water on. 4. Wait. 5. Drink the tea.",
        " ".join(f"word{n}" for n in range(300)),
    ],
)
def test_speech_is_no_loop(text: str) -> None:
    assert loops(text, "response") is None


@given(st.text(max_size=300))
def test_no_text_breaks_a_check(text: str) -> None:
    within(text, "response", Bounds())
    loops(text, "response")
    assert twin((text,), [known("itself", (text,))], 0.7)
