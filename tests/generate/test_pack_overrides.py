"""`generate.prompts`: single keys put over a pack."""

from __future__ import annotations

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
        ({"freefrom": {}}, ["`freefrom` is not a section", "did you mean `freeform`"]),
        (
            {"freeform": {"steps": {"pair_juge": {"temperature": 1}}}},
            ["freeform.steps.pair_juge is not a step", "did you mean `pair_judge`"],
        ),
        (
            {"freeform": {"steps": {"pair_judge": {"parse": {"score": {"kep": 3}}}}}},
            ["pair_judge.parse", "kep is not a key", "did you mean `keep`"],
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
        ({"freeform": {"steps": {"pair_judge": {"user": "{qestion}"}}}}, ["{qestion} has no value there"]),
        ({"freeform": {"steps": {"precise": "none"}}}, ["lacks `precise`"]),
        ({"freeform": {"steps": 3}}, ["steps"]),
        ({"freeform": 3}, ["freeform"]),
        ({"attempts": 0}, ["attempts", "1"]),
        ({"digest": "x"}, ["`digest` is not a key"]),
    ],
)
def test_what_may_not_be_said_is_named_with_its_key(overrides: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(RecipeError) as caught:
        load_pack("default", overrides)
    for word in ["generate.prompts", "`default`", *words]:
        assert word in caught.value.what
    assert caught.value.mend


def test_a_step_that_the_pack_lacks_needs_its_words() -> None:
    with pytest.raises(RecipeError, match=r"pair_judge: the pack has no such step.*`user`"):
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
    assert not told or told.startswith("generate.prompts")
    assert "pydantic" not in told
