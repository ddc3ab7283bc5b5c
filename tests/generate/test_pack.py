from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from feldspar.errors import RecipeError
from feldspar.generate import BUILT_IN, load_pack
from feldspar.generate.packs import parse_pack
from feldspar.generate.template import derive, fill, placeholders, shuffled

SOUND = """
name: mine
sections:
  freeform:
    steps:
      instruction: {user: "One more of {task}", parse: line}
      precise: {user: "{question}"}
"""


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_built_in_packs_are_sound(name: str) -> None:
    pack = load_pack(name)
    assert pack.name == name
    assert set(pack.sections) == {"freeform", "grounded", "knowledge"}
    judged = [
        step for section in pack.sections.values() for step, prompt in section.steps.items() if prompt.judges
    ]
    # The paper's judges for a teacher that can; for one that cannot, none.
    assert len(judged) == (7 if name == "default" else 0)
    assert pack.sections["knowledge"].checks.grounding is not None


def test_all_calls_on_a_passage_begin_alike() -> None:
    """Servers keep what they have read: the passage is read once for questions, answers and judges."""
    prompts = load_pack("default").sections["knowledge"].steps.values()
    assert len({prompt.system for prompt in prompts}) == 1
    (shared,) = {prompt.user.partition("</passage>")[0] for prompt in prompts}
    assert "{passage}" in shared
    # What differs by draw comes after it.
    assert not set(placeholders(shared)) - {"task", "heading", "passage"}


def test_what_a_leaf_s_calls_share_comes_before_what_differs_by_draw() -> None:
    for section in load_pack("default").sections.values():
        for step, prompt in section.steps.items():
            assert not {"seeds", "question", "answer", "context"} & set(placeholders(prompt.system))
            if "{seeds}" in prompt.user and step != "instruction_judge":
                rules, _, rest = prompt.user.partition("{seeds}")
                assert "You are going to" in rules
                assert "- " not in rest
                assert not {"question", "context", "conversation"} & set(placeholders(rules))


def test_a_pack_of_one_s_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(SOUND, "utf-8")
    assert load_pack(file).sections["freeform"].steps["instruction"].parse == "line"
    other = parse_pack(SOUND.replace("One more", "Another"), "x")
    assert other.digest != load_pack(str(file)).digest


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "parse: line",
            "prase: line",
            ["mine.yaml:6: `sections.freeform.steps.instruction.prase` is not a key", "instruction.parse`?"],
        ),
        (
            "name: mine",
            "nmae: mine",
            ["mine.yaml:2: `nmae` is not a key", "did you mean `name`", "`name` is missing"],
        ),
        ("name: mine", "name: 3", ["mine.yaml:2: `name` should be a text, not 3"]),
        ("freeform:", "freefrom:", ["mine.yaml:4: `sections.freefrom` is not a section"]),
        (
            "precise:",
            "precious:",
            ["mine.yaml:5: `sections.freeform.steps` lacks `precise`", ".precious` is not a step"],
        ),
        (
            "{question}",
            "{qestion}",
            [
                "mine.yaml:7: `sections.freeform.steps.precise.user` uses {qestion}",
                "no value there",
                "{question}",
            ],
        ),
        ("One more of {task}", "One like {answer}", ["uses {answer}, which has no value there"]),
        ("One more of {task}", "Like {seeds}", ["uses {seeds}"]),
        (
            "parse: line",
            "parse: lines",
            [
                "`sections.freeform.steps.instruction.parse` should be text, line or {json: KEY}",
                "not 'lines'",
            ],
        ),
        (
            "parse: line",
            "parse: {yes_no: [good]}",
            ["instruction.parse` should be text, line", "only a judge gives verdicts"],
        ),
        ("parse: line", "temperature: -1", ["temperature` should be at least 0", "not -1"]),
        ("parse: line", "user: again", ["is given twice"]),
        (
            "parse: line",
            "shots: [{user: 'a {task}', assistant: b}]",
            ["mine.yaml:6: `sections.freeform.steps.instruction.shots.0`", "nothing is filled in"],
        ),
        (
            "    steps:",
            "    checks: {instruction: {min_words: 9, max_words: 3}}\n    steps:",
            ["min_words is above"],
        ),
        ("    steps:", "    checks: {near_duplicate: {threshold: 0}}\n    steps:", ["threshold"]),
        (
            "parse: line",
            "in_language: 'In {tongue}.'",
            ["in_language` uses {tongue}, which has no value there"],
        ),
        (
            "    steps:",
            "    steps:\n      followup: {user: x}\n      pair_judge: {user: x, parse: {score: {}}}",
            ["freeform.steps` lacks `conversation_judge`"],
        ),
    ],
)
def test_what_a_pack_may_not_say_is_named(old: str, new: str, words: list[str]) -> None:
    assert old in SOUND
    with pytest.raises(RecipeError) as caught:
        parse_pack(SOUND.replace(old, new), "mine.yaml")
    for word in words:
        assert word in caught.value.what
    assert caught.value.mend
    assert len(caught.value.what.splitlines()) <= 2


def test_of_many_mistakes_three_are_told() -> None:
    text = SOUND.replace("parse: line", "a: 1, b: 2, c: 3, parse: 4, temperature: high")
    with pytest.raises(RecipeError) as caught:
        parse_pack(text, "mine.yaml")
    *told, more = caught.value.what.splitlines()
    assert len(told) == 3
    assert all(line.startswith("mine.yaml:6: `sections.freeform.steps.instruction.") for line in told)
    assert more == "… and 2 more"


def test_all_problems_are_named_at_once() -> None:
    text = SOUND.replace("parse: line", "prase: line").replace(
        'precise: {user: "{question}"}', "precise: {usr: x, user: y}"
    )
    with pytest.raises(RecipeError, match=r"(?s)prase.*usr"):
        parse_pack(text, "mine.yaml")


@pytest.mark.parametrize(
    "text",
    ["", "3", "[]", "a: [", "a: &x 1\nb: *x", "\x00", "!!python/object/apply:os.getcwd []", "- " * 3000],
)
def test_a_file_that_is_no_pack_is_one_clear_error(text: str) -> None:
    with pytest.raises(RecipeError):
        parse_pack(text, "mine.yaml")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["name", "sections", "freeform", "steps", "precise", "user", "parse", "checks"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_wild_packs_are_refused_in_words(data: object) -> None:
    with pytest.raises(RecipeError):
        parse_pack(yaml.safe_dump(data, allow_unicode=True), "wild.yaml")


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot be read"):
        load_pack("nowhere/at/all.yaml")
    with pytest.raises(RecipeError, match="cannot be read"):
        load_pack(tmp_path)
    bad = tmp_path / "latin.yaml"
    bad.write_bytes(b"name: caf\xe9")
    with pytest.raises(RecipeError, match="UTF-8"):
        load_pack(bad)
    bad.write_bytes(b"#" * 600_000)
    with pytest.raises(RecipeError, match="larger"):
        load_pack(bad)


def test_values_are_never_scanned_again() -> None:
    values = {"question": "What is {answer}?", "answer": "{question}"}
    assert (
        fill("Q {question} A {answer} {0} {} {Answer}", values)
        == "Q What is {answer}? A {question} {0} {} {Answer}"
    )
    assert placeholders("{b} {a} {b} {c d}") == ("b", "a")


@given(st.text(), st.text())
def test_any_value_arrives_as_it_is(value: str, other: str) -> None:
    assert fill("<{a}|{b}>", {"a": value, "b": other}) == f"<{value}|{other}>"


def test_derived_numbers_are_fixed_for_all_time() -> None:
    # A change here changes every request of every run: the journal would be paid for again.
    assert derive(0, "knowledge/x", "question", 1, 0) == 1997578012
    assert shuffled(6, 1, "a") == (5, 0, 4, 3, 1, 2)


def test_the_prompts_are_in_the_package() -> None:
    names = {entry.name for entry in resources.files("feldspar.generate").joinpath("prompts").iterdir()}
    assert {f"{name}.yaml" for name in BUILT_IN} <= names
