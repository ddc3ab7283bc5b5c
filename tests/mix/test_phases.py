from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feldspar import jsonl
from feldspar.errors import DatasetError, RecipeError
from feldspar.generate.twins import Twin
from feldspar.mix import Mix, mix, row_from_json, row_to_json
from feldspar.run import Run
from feldspar.stages.phases import read_twins
from feldspar.types import Branch, Message, Origin, Phase, Sample, Take

TABLE_1 = (
    Phase("kt1", (Take("knowledge", "short"), Take("foundational_skills", "short"))),
    Phase("kt2", (Take("knowledge", "long"), Take("foundational_skills", "long")), replay=("kt1",)),
    Phase("st", (Take("compositional_skills"),), replay=("kt1", "kt2")),
)


def sample(leaf: str, draw: int, tokens: int, said: str = "") -> Sample:
    branch: Branch = leaf.split("/")[0]  # type: ignore[assignment]
    answer = " ".join(["word"] * tokens)
    asked = Message("user", said or f"{leaf} {draw}?")
    return Sample(
        f"{leaf}#{draw}", leaf, branch, (asked, Message("assistant", answer)), Origin("generated", "")
    )


def pool() -> list[Sample]:
    made = [sample("knowledge/a", n, n) for n in range(1, 11)]
    made += [sample("foundational_skills/b", n, n) for n in range(1, 11)]
    return made + [sample("compositional_skills/c", n, 50) for n in range(1, 6)]


def count(text: str) -> int:
    return len(text.split())


def ids(found: Mix, phase: int, replayed: str | None = None) -> list[str]:
    rows = found.phases[phase].rows
    return [row.sample.id for row in rows if replayed is None or row.replayed_from == replayed]


def test_table_1_s_rows() -> None:
    found = mix(pool(), [], TABLE_1, count)
    # The median of what is split by length; the skills' 50 words do not shift it.
    assert found.short_tokens == 5
    assert [len(data.rows) for data in found.phases] == [10, 20, 25]
    assert ids(found, 0) == [
        f"{leaf}#{n}" for leaf in ("foundational_skills/b", "knowledge/a") for n in range(1, 6)
    ]
    assert ids(found, 1, "") == [
        f"{leaf}#{n}" for leaf in ("foundational_skills/b", "knowledge/a") for n in range(6, 11)
    ]
    assert ids(found, 1, "kt1") == ids(found, 0)
    # What kt2 replayed is replayed once, as kt1's.
    assert (ids(found, 2, "kt1"), ids(found, 2, "kt2")) == (ids(found, 0), ids(found, 1, ""))
    assert found.dropped == ()


@given(st.randoms(use_true_random=False), st.integers(0, 9))
def test_the_order_of_the_arguments_does_not_matter(order: random.Random, seed: int) -> None:
    phases = (TABLE_1[0], Phase("kt2", TABLE_1[1].take, ("kt1",), replay_fraction=0.5, samples=12), TABLE_2)
    one = pool()
    order.shuffle(one)
    cut = order.randrange(len(one))
    assert mix(one[:cut], [one[cut:], []], phases, count, seed=seed) == mix(
        pool(), [], phases, count, seed=seed
    )


TABLE_2 = Phase("st", (Take("compositional_skills"),), replay=("kt1",), replay_fraction=0.3)


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["knowledge/a", "compositional_skills/c"]),
            st.integers(1, 9),
            st.sampled_from("xyz"),
        ),
        max_size=30,
    ),
    st.none() | st.integers(1, 9),
    st.sampled_from([0.0, 0.25, 1.0]),
)
def test_every_sample_is_in_a_phase_or_has_its_reason(
    made: list[tuple[str, int, str]], cap: int | None, fraction: float
) -> None:
    samples = [sample(leaf, n, tokens, said) for n, (leaf, tokens, said) in enumerate(made, 1)]
    phases = (
        Phase("one", (Take("knowledge", "short"),), samples=cap),
        Phase("two", (Take("compositional_skills"),), ("one",), fraction, samples=cap),
    )
    found = mix(samples, [], phases, count, seed=3)
    trained = {row.sample.id for data in found.phases for row in data.rows}
    reasons = dict(found.dropped)
    assert {s.id for s in samples} == trained | set(reasons)
    for data in found.phases:
        there = Counter(row.sample.id for row in data.rows)
        assert not there or max(there.values()) == 1
        assert cap is None or len(data.rows) <= cap
        assert bool(data.rows) != bool(data.skipped)


def test_a_part_of_a_phase_is_replayed_drawn_by_the_seed() -> None:
    def replayed(seed: int, fraction: float) -> list[str]:
        phases = (TABLE_1[0], Phase("st", (Take("compositional_skills"),), ("kt1",), fraction))
        return ids(mix(pool(), [], phases, count, seed=seed), 1, "kt1")

    assert len(replayed(1, 0.5)) == 5
    assert replayed(1, 0.5) == replayed(1, 0.5)
    assert len({tuple(replayed(seed, 0.5)) for seed in range(6)}) > 1
    assert (replayed(1, 0.0), len(replayed(1, 1.0))) == ([], 10)


def test_what_a_cap_left_out_is_not_replayed() -> None:
    phases = (
        Phase("kt1", (Take("knowledge"),), samples=4),
        Phase("st", (Take("compositional_skills"),), ("kt1",)),
    )
    found = mix(pool(), [], phases, count)
    assert len(ids(found, 0)) == 4
    assert ids(found, 1, "kt1") == ids(found, 0)


def test_a_row_is_not_replayed_beside_itself() -> None:
    phases = (Phase("one", (Take("knowledge", "short"),)), Phase("two", (Take("knowledge"),), ("one",)))
    found = mix(pool(), [], phases, count)
    assert len(ids(found, 1)) == len(set(ids(found, 1))) == 10
    assert ids(found, 1, "one") == []


def test_later_copies_are_dropped_and_named() -> None:
    made = [
        sample("knowledge/b", 1, 3, "same?"),
        sample("knowledge/a", 10, 3, "same?"),
        sample("knowledge/a", 9, 3, " same? "),
    ]
    found = mix(made, [], (Phase("all", (Take("knowledge"),)),), count)
    # By draw as a number: #9 comes before #10.
    assert ids(found, 0) == ["knowledge/a#9"]
    assert found.dropped == (
        ("knowledge/a#10", "a duplicate of knowledge/a#9"),
        ("knowledge/b#1", "a duplicate of knowledge/a#9"),
    )


def test_the_later_of_twins_is_dropped_and_named() -> None:
    twins = {"knowledge/a#3": "compositional_skills/c#1", "knowledge/a#4": "knowledge/gone#1"}
    found = mix(pool(), [], TABLE_1, count, twins=twins)
    there = {row.sample.id for data in found.phases for row in data.rows}
    assert there == {one.id for one in pool()} - {"knowledge/a#3"}, "one whose twin is not there stays"
    reason = "a near-duplicate of compositional_skills/c#1, which is of another leaf"
    assert found.dropped == (("knowledge/a#3", reason),)
    # The skill joins no phase here: both would be lost.
    alone = mix(pool(), [], (Phase("kt", (Take("knowledge"),)),), count, twins=twins)
    assert len(alone.phases[0].rows) == 10


def test_a_run_tells_its_twins_and_an_old_one_has_none(tmp_path: Path) -> None:
    run = Run(tmp_path, lock=False)
    (tmp_path / "2-samples").mkdir()
    assert read_twins(run) == {}
    jsonl.write(tmp_path / "2-samples" / "twins.jsonl", [Twin("knowledge/b#3", "knowledge/a#1", 0.75)])
    assert read_twins(run) == {"knowledge/b#3": "knowledge/a#1"}


def test_a_phase_without_data_is_skipped_and_says_so() -> None:
    skills = [one for one in pool() if one.branch == "compositional_skills"]
    found = mix(skills, [], TABLE_1, count)
    assert [data.skipped for data in found.phases] == ["no data", "no data", ""]
    assert (found.short_tokens, len(found.phases[2].rows)) == (0, 5)
    # A phase with replay alone has nothing new to train on.
    without = mix(pool()[:20], [], TABLE_1, count)
    assert (without.phases[2].skipped, without.phases[2].rows) == ("no data", ())


def test_what_no_phase_takes_is_named() -> None:
    found = mix(pool(), [], (Phase("kt", (Take("knowledge", "short"),)),), count, short_tokens=3)
    reasons = Counter(reason for _, reason in found.dropped)
    assert reasons == {
        "no phase takes knowledge (long)": 7,
        "no phase takes foundational_skills (short)": 3,
        "no phase takes foundational_skills (long)": 7,
        "no phase takes compositional_skills (long)": 5,
    }


def test_rows_of_one_s_own_join_a_phase_and_are_replayed(tmp_path: Path) -> None:
    own = tmp_path / "mine.jsonl"
    rows = [
        [("user", "Who?"), ("assistant", "Me, at great length.")],
        [("user", "knowledge/a 1?"), ("assistant", "word")],
    ]
    text = [json.dumps({"messages": [{"role": r, "content": c} for r, c in row]}) for row in rows]
    own.write_text("\n".join(text), "utf-8")
    phases = (
        Phase("kt", (Take("knowledge", "short"),), files=(str(own),)),
        Phase("st", (Take("compositional_skills"),), ("kt",)),
    )
    found = mix(pool(), [], phases, count, short_tokens=2)
    assert ids(found, 0) == ["knowledge/a#1", "knowledge/a#2", "knowledge/kt/1-mine#1"]
    assert ids(found, 1, "kt") == ids(found, 0)
    assert ("knowledge/kt/1-mine#2", "a duplicate of knowledge/a#1") in found.dropped
    # A file is data enough for a phase.
    alone = mix([], [], (Phase("mine", (), files=(str(own),)),), count)
    assert len(alone.phases[0].rows) == 2


@pytest.mark.parametrize(
    ("phases", "words"),
    [
        ((), "there is none"),
        ((TABLE_1[0], Phase("st", (), replay=("kt2",))), "`kt2` is not an earlier phase"),
        ((TABLE_1[0], Phase("st", (), replay=("ktl1",))), "`kt1`"),
        ((Phase("a", (), replay=("a",)),), "`a` is not an earlier phase"),
        ((Phase("a", ()), Phase("a", ())), "two phases"),
        ((Phase("a", ()), Phase("b", (), replay=("a", "a"))), "twice"),
        ((Phase("a", (), replay_fraction=1.5),), "replay_fraction"),
        ((Phase("a", (), replay_fraction=float("nan")),), "replay_fraction"),
        ((Phase("a", (), samples=0),), "samples"),
    ],
)
def test_phases_that_cannot_be(phases: tuple[Phase, ...], words: str) -> None:
    with pytest.raises(RecipeError) as caught:
        mix(pool(), [], phases, count)
    assert words in str(caught.value)


def test_two_samples_of_one_id_are_refused() -> None:
    with pytest.raises(RecipeError, match="two samples have this id"):
        mix([sample("knowledge/a", 1, 2)], [[sample("knowledge/a", 1, 3)]], TABLE_1, count)


@settings(max_examples=30)
@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip),
    st.sampled_from(["", "kt1"]),
)
def test_a_row_comes_back_from_json(text: str, replayed: str) -> None:
    found = mix([sample("knowledge/a", 1, 2, text)], [], TABLE_1, count, short_tokens=5)
    row = type(found.phases[0].rows[0])(found.phases[0].rows[0].sample, replayed)
    data = json.loads(json.dumps(row_to_json(row), ensure_ascii=False))
    assert row_from_json(data) == row
    assert list(data) == ["id", "leaf", "branch", "replayed_from", "origin", "messages"]


@pytest.mark.parametrize("key", ["id", "leaf", "branch", "replayed_from", "origin", "messages"])
def test_a_row_that_was_tampered_with_is_refused(key: str) -> None:
    data = row_to_json(mix(pool(), [], TABLE_1, count).phases[0].rows[0])
    for value in (None, 3, "nowhere" if key in {"branch", "origin", "messages"} else [], {"kind": "x"}):
        with pytest.raises(DatasetError, match="3-phases/kt1"):
            row_from_json(data | {key: value}, "3-phases/kt1.jsonl:1")
    with pytest.raises(DatasetError):
        row_from_json({name: value for name, value in data.items() if name != key})
    with pytest.raises(DatasetError):
        row_from_json(data | {"extra": 1})
