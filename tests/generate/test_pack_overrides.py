"""`generate.prompts`: single keys put over a pack."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feldspar.errors import RecipeError
from feldspar.generate import Pack, load_pack
from feldspar.generate.pack import YesNo

DEFAULT = load_pack("default")


def over(step: str, value: Any, name: str | Path = "default") -> Pack:
    return load_pack(name, {"freeform": {"steps": {step: value}}})


def test_one_key_changes_and_nothing_else() -> None:
    pack = over("pair_judge", {"parse": {"score": {"keep": 3}}})
    assert pack.sections["freeform"].steps["pair_judge"].parse.score.keep == 3  # type: ignore[union-attr]
    steps = {
        **DEFAULT.sections["freeform"].steps,
        "pair_judge": pack.sections["freeform"].steps["pair_judge"],
    }
    section = DEFAULT.sections["freeform"].model_copy(update={"steps": steps})
    same = {"sections": {**DEFAULT.sections, "freeform": section}, "digest": pack.digest}
    assert pack == DEFAULT.model_copy(update=same)


def test_the_digest_follows_what_is_changed_and_not_how_it_is_written() -> None:
    digests = {
        DEFAULT.digest,
        over("pair_judge", {"temperature": 0.1}).digest,
        over("pair_judge", {"temperature": 0.2}).digest,
        load_pack("small", {"attempts": 3}).digest,
        load_pack("default", {"attempts": 3}).digest,
    }
    assert len(digests) == 5
    assert load_pack("default", {}).digest == DEFAULT.digest
    spelled = {"sections": {"freeform": {"steps": {"pair_judge": {"temperature": 0.1}}}}}
    assert load_pack("default", spelled).digest == over("pair_judge", {"temperature": 0.1}).digest


def test_steps_and_checks_can_be_left_out_or_added() -> None:
    assert "instruction_judge" not in over("instruction_judge", "none").sections["freeform"].steps
    checks = {"checks": {"grounding": "none", "near_duplicate": "none", "instruction": {"max_words": 9}}}
    found = load_pack("default", {"knowledge": checks}).sections["knowledge"].checks
    assert (found.grounding, found.near_duplicate, found.instruction.max_words) == (None, None, 9)
    assert found.instruction.min_words == DEFAULT.sections["knowledge"].checks.instruction.min_words
    judge = {"user": "Is {answer} good?", "parse": {"yes_no": ["good"]}}
    assert over("pair_judge", judge, "small").sections["freeform"].steps["pair_judge"].judges


def test_another_way_to_read_a_reply_takes_the_place_of_the_old_one() -> None:
    pack = over("pair_judge", {"parse": {"yes_no": ["good"]}})
    assert pack.sections["freeform"].steps["pair_judge"].parse == YesNo(yes_no=("good",))
    assert over("instruction", {"parse": "line"}).sections["freeform"].steps["instruction"].parse == "line"
    assert (
        over("instruction", {"schema": "none"}).sections["freeform"].steps["instruction"].json_schema
        == "none"
    )


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"freefrom": {}}, ["freefrom` is not a section: did you mean `generate.prompts.freeform`?"]),
        ({"precise": {}}, ["precise` is not a section: did you mean `generate.prompts.freeform.steps.pre"]),
        (
            {"freeform": {"steps": {"pair_juge": {"temperature": 1}}}},
            ["`generate.prompts.freeform.steps.pair_juge` is not a step", ".steps.pair_judge`?"],
        ),
        (
            {"freeform": {"pair_judge": {"temperature": 1}}},
            ["`generate.prompts.freeform.pair_judge` is not a key", "generate.prompts.freeform.steps.pair_"],
        ),
        (
            {"freeform": {"near_duplicate": "none"}},
            ["freeform.near_duplicate` is not a key: did you mean `generate.prompts.freeform.checks.near_d"],
        ),
        (
            {"sections": {"freeform": {"chekcs": {}}}},
            [
                "`generate.prompts.sections.freeform.chekcs`",
                "mean `generate.prompts.sections.freeform.checks`",
            ],
        ),
        (
            {"freeform": {"steps": {"pair_judge": {"parse": {"score": {"kep": 3}}}}}},
            ["`generate.prompts.freeform.steps.pair_judge.parse.score.kep` is not a key", "score.keep`?"],
        ),
        ({"freeform": {"steps": {"pair_judge": {"parse": {"score": {"keep": 9}}}}}}, ["low < keep <= high"]),
        (
            {"freeform": {"steps": {"pair_judge": {"parse": {"score": {"keep_mean": 0.5}}}}}},
            ["low < keep_mean <= high"],
        ),
        (
            {"freeform": {"steps": {"pair_judge": {"parse": {"score": {"high": 20, "expected": True}}}}}},
            ["0 to 9"],
        ),
        (
            {"freeform": {"steps": {"pair_judge": {"parse": {"score": {"low": "x"}}}}}},
            ["freeform.steps.pair_judge.parse.score.low` should be a whole number, not 'x'"],
        ),
        (
            {"freeform": {"steps": {"pair_judge": {"parse": "often"}}}},
            ["pair_judge.parse` should be text, line or {json: KEY}, or in a judge", "not 'often'"],
        ),
        (
            {"freeform": {"steps": {"pair_judge": {"parse": "line"}}}},
            ["pair_judge.parse` should be {yes_no: [NAME, …]} or {score: {…}}: only a judge"],
        ),
        (
            {"freeform": {"steps": {"precise": {"schema": 3}}}},
            ["precise.schema` should be auto, none or a JSON Schema, not 3"],
        ),
        (
            {"freeform": {"steps": {"precise": {"shots": [{"user": "a", "assistant": {"k": None}}]}}}},
            ["precise.shots.0.assistant.k` should be a text, a whole number or true or false, not None"],
        ),
        (
            {"freeform": {"steps": {"precise": {"temperature": "high"}}}},
            ["precise.temperature` should be a number, not 'high'"],
        ),
        (
            {"freeform": {"steps": {"precise": {"max_tokens": 0}}}},
            ["precise.max_tokens` should be at least 1, not 0"],
        ),
        (
            {"freeform": {"steps": {"pair_judge": {"user": "{qestion}"}}}},
            ["pair_judge.user` uses {qestion}, which has no value there"],
        ),
        ({"freeform": {"steps": {"precise": "none"}}}, ["`generate.prompts.freeform.steps` lacks `precise`"]),
        ({"freeform": {"steps": 3}}, ["`generate.prompts.freeform.steps` should be a group of keys, not 3"]),
        ({"freeform": 3}, ["`generate.prompts.freeform` should be a group of keys, not 3"]),
        ({"sections": 3}, ["`generate.prompts.sections` should be a group of keys, not 3"]),
        ({"attempts": 0}, ["`generate.prompts.attempts` should be at least 1, not 0"]),
        ({"digest": "x"}, ["`generate.prompts.digest` is not a key"]),
    ],
)
def test_what_may_not_be_said_is_named_with_its_key(overrides: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(RecipeError) as caught:
        load_pack("default", overrides)
    (told,) = caught.value.what.splitlines()
    assert told.startswith("`generate.prompts.")
    for word in words:
        assert word in told
    assert "`default`" in caught.value.mend


def test_of_many_mistakes_three_are_told() -> None:
    with pytest.raises(RecipeError) as caught:
        over("precise", dict.fromkeys("abcd", 1))
    told = caught.value.what.splitlines()
    assert [line.partition("` ")[0][-1] for line in told[:3]] == ["a", "b", "c"]
    assert told[3:] == ["… and 1 more"]


def test_a_step_that_the_pack_lacks_needs_its_words() -> None:
    with pytest.raises(RecipeError, match=r"pair_judge` is a step that the pack lacks: give its `user`"):
        over("pair_judge", {"temperature": 1}, "small")


def test_a_pack_of_one_s_own_can_be_overridden_too(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "name: mine\nsections: {freeform: {steps: {instruction: {user: more, parse: line}, "
        "precise: {user: '{question}'}}}}",
        "utf-8",
    )
    assert (
        over("precise", {"temperature": 0.1}, file).sections["freeform"].steps["precise"].temperature == 0.1
    )


_KEYS = [
    "sections",
    "freeform",
    "steps",
    "pair_judge",
    "parse",
    "score",
    "keep",
    "checks",
    "attempts",
    "schema",
]


@settings(max_examples=25)
@given(
    st.dictionaries(
        st.sampled_from(_KEYS),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.sampled_from(["none", "", "line"]),
            lambda inner: (
                st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=3)
            ),
            max_leaves=8,
        ),
        max_size=4,
    )
)
def test_wild_overrides_are_a_pack_or_an_error_in_words(overrides: dict[str, Any]) -> None:
    told = ""
    try:
        load_pack("default", overrides)
    except RecipeError as error:
        told = str(error)
    assert not told or told.startswith("`generate.prompts.")
    assert "pydantic" not in told
    assert not re.search(r"`[^`]*(constrained-str|dict\[|<)[^`]*`", told)
