from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from feldspar.generate import LeafPlan, funnel, split_seeds
from feldspar.generate.plan import LeafOutcome
from feldspar.types import Leaf, Seed

SEEDS = st.lists(
    st.builds(Seed, st.sampled_from("abcdefgh"), st.sampled_from("xyz"), st.sampled_from(["", "c1", "c2"])),
    max_size=12,
)


def leaf(seeds: list[Seed]) -> Leaf:
    return Leaf("knowledge/x", "knowledge", "x", tuple(seeds))


@given(SEEDS, st.integers(-1, 15), st.integers(0, 99))
def test_seeds_are_divided_and_none_is_lost(seeds: list[Seed], holdout: int, seed: int) -> None:
    shown, held = split_seeds(leaf(seeds), holdout, seed)
    assert (shown, held) == split_seeds(leaf(seeds), holdout, seed)
    assert sorted([*shown, *held], key=repr) == sorted(seeds, key=repr)
    questions = {s.question for s in seeds}
    # No question is on both sides, and one at least stays to be shown.
    assert not {s.question for s in shown} & {s.question for s in held}
    assert len({s.question for s in held}) == max(0, min(holdout, len(questions) - 1))
    assert bool(shown) == bool(seeds)


def test_held_out_questions_are_spread_over_contexts() -> None:
    seeds = [Seed(f"q{c}{n}", "a", f"context {c}") for c in range(4) for n in range(3)]
    _, held = split_seeds(leaf(seeds), 4, 0)
    assert len({seed.context for seed in held}) == 4
    _, two = split_seeds(leaf(seeds), 2, 0)
    assert set(two) <= set(held)
    assert any(split_seeds(leaf(seeds), 4, n)[1] != held for n in range(1, 5))


def test_a_plan_knows_what_is_held_out() -> None:
    seeds = [Seed(f"q{n}", "a") for n in range(4)]
    shown, held = split_seeds(leaf(seeds), 2, 0)
    made = LeafPlan(leaf(seeds), shown, (), 1, 1, avoid=("And this?",))
    assert set(made.held_out) == {seed.question for seed in held} | {"And this?"}


def test_one_instruction_asked_of_several_contexts_is_several_questions() -> None:
    seeds = tuple(Seed("List when and where", "a", f"Notice {n}") for n in range(4))
    skill = Leaf("compositional_skills/x", "compositional_skills", "x", seeds)
    shown, held = split_seeds(skill, 2, 0)
    assert (len(shown), len(held)) == (2, 2)
    assert set(LeafPlan(skill, shown, (), 1, 1).held_out) == {
        f"notice {seed.context[-1]} list when and where" for seed in held
    }


def test_a_funnel_of_nothing() -> None:
    row = funnel([LeafOutcome("a", target=5, surplus=2, error="there is no seed")])["a"]
    assert row == {
        "target": 5,
        "draws": 0,
        "accepted": 0,
        "rejected": {},
        "judges": {},
        "error": "there is no seed",
        "spent": False,
    }
