from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.generate.plans import knowledge, letters, plan, skill

from feldspar import jsonl
from feldspar.generate import Calibration, LeafPlan, Pack, calibrate, load_pack
from feldspar.generate.corrupt import contradicted, swapped, truncated
from feldspar.generate.rated import JudgeCalibration, wilson
from feldspar.teacher import Request, ScriptedTeacher
from feldspar.types import Leaf, Seed

PACK = load_pack("default")


def odd(name: str, task: str, words: str) -> Leaf:
    """A leaf of a skill with a vocabulary of its own."""
    one, two, three, four = words.split()
    seeds = tuple(
        Seed(f"{one} {two}{n} {four}", f"The {three} of {two} {n} is {n}{n} at Mount {name}{letters(n)}.")
        for n in range(1, 9)
    )
    return Leaf(f"compositional_skills/{name}", "compositional_skills", task, seeds, licence="CC0-1.0")


LEAVES = (
    odd("verse", "Short verses", "Compose sonnet rhyme softly"),
    odd("sums", "Adding up", "Count apples total quickly"),
)
PLANS = [*map(plan, LEAVES), plan(skill("notice", seeds=8, context=True)), plan(knowledge())]


def calibrated(
    *functions: object, plans: Sequence[LeafPlan] = PLANS, pack: Pack = PACK, requests: int = 100
) -> tuple[Calibration | None, list[Request]]:
    teachers = [ScriptedTeacher(f, identity=f"m{n}@r") for n, f in enumerate(functions, 1)]  # type: ignore[arg-type]
    judges = tuple(teachers) if len(teachers) > 1 else ()
    found = asyncio.run(calibrate(plans, teachers[0], pack, seed=1, judges=judges, requests=requests))
    return found, [request for teacher in teachers for request in teacher.requests]


def verdict(request: Request, good: bool) -> str:
    if "score" in request.schema:
        return json.dumps({"explanation": "", "score": 3 if good else 1})
    keys = [key for key in json.loads(request.schema)["properties"] if key.endswith("_verdict")]
    return json.dumps(dict.fromkeys(keys, "yes" if good else "no"))


def right(request: Request) -> bool:
    """Whether what is judged is a seed of the leaves above, as it was written."""
    said = request.messages[-1].content
    seeds = [(p, s) for p in PLANS for s in p.seeds]
    if "relevant" in request.schema:
        return any(f">\n{s.question}\n<" in said and f": {p.leaf.task}\n" in said for p, s in seeds)
    return any(f">\n{s.question}\n<" in said and f">\n{s.answer}\n<" in said for _, s in seeds)


def by_name(found: Calibration | None) -> dict[str, JudgeCalibration]:
    assert found is not None
    return {judge.judge: judge for judge in found.judges}


def test_a_judge_that_knows_is_right_on_every_kind() -> None:
    found, requests = calibrated(lambda request: verdict(request, right(request)))
    judges = by_name(found)
    assert set(judges) == {"pair", "faithfulness", "instruction"}
    kinds = {name: [rating.kind for rating in judge.ratings] for name, judge in judges.items()}
    assert kinds["pair"] == ["as written", "swapped", "truncated", "contradicted"]
    assert kinds["instruction"] == ["as written", "off task"]
    for judge in judges.values():
        assert (judge.agreement, judge.bias, judge.unreadable, judge.at_chance) == (1.0, 0.0, 0, False)
        assert all(rating.agreement == 1.0 for rating in judge.ratings)
    assert (judges["pair"].mean_good, judges["pair"].mean_corrupted) == (3.0, 1.0)
    assert judges["instruction"].mean_good is None
    assert found is not None
    assert found.requests == len(requests) == sum(judge.count for judge in judges.values()) <= 100
    assert found.requests > 90


@pytest.mark.parametrize(("always", "bias", "word"), [(True, 0.5, "lenient"), (False, -0.5, "harsh")])
def test_a_judge_that_says_the_same_to_all_is_at_chance_and_its_bias_shows(
    always: bool, bias: float, word: str
) -> None:
    found, _ = calibrated(lambda request: verdict(request, always))
    for judge in by_name(found).values():
        assert judge.at_chance
        assert (judge.agreement, judge.bias) == (0.5, bias)
        assert judge.low < 0.5 < judge.high
    assert found is not None
    assert all("cannot be told from chance" in line and word in line for line in found.lines)


def test_a_coin_is_hardly_ever_taken_for_a_judge() -> None:
    believed = 0
    for start in range(20):
        coin = random.Random(start)
        found, _ = calibrated(lambda request, coin=coin: verdict(request, coin.random() < 0.5))
        believed += not by_name(found)["pair"].at_chance
    assert believed <= 2


def test_a_kind_that_a_judge_is_blind_to_is_named() -> None:
    """It knows what belongs together, and never reads to the end."""
    seeds = [s for p in PLANS for s in p.seeds]

    def blind(request: Request) -> str:
        said = request.messages[-1].content
        answer = said.rpartition("<answer>\n")[2].partition("\n</answer>")[0]
        begins = any(s.answer.startswith(answer) and f">\n{s.question}\n<" in said for s in seeds)
        return verdict(request, right(request) or begins)

    found, _ = calibrated(blind)
    pair = by_name(found)["pair"]
    ratings = {rating.kind: rating for rating in pair.ratings}
    assert (ratings["truncated"].agreement, ratings["truncated"].at_chance) == (0.5, True)
    assert not pair.at_chance
    assert found is not None
    assert any("At chance on: truncated" in line for line in found.lines if line.startswith("judge pair"))


def test_an_unreadable_judge_is_counted_and_no_made_up_score() -> None:
    found, requests = calibrated(lambda _: "hm")
    assert found is not None
    for judge in found.judges:
        assert (judge.count, judge.mean_good, judge.bias, judge.at_chance) == (0, None, 0.0, True)
    # Each was asked for as often as any draft's verdict is.
    assert sum(judge.unreadable for judge in found.judges) * PACK.attempts == len(requests)
    assert all("nothing could be read" in line for line in found.lines)


def test_every_judge_is_measured_by_itself_on_the_same_drafts() -> None:
    found, requests = calibrated(lambda r: verdict(r, right(r)), lambda r: verdict(r, True))
    judges = by_name(found)
    assert set(judges) == {
        f"{what} ({m})" for what in ("pair", "faithfulness", "instruction") for m in ("m1", "m2")
    }
    assert (judges["pair (m1)"].agreement, judges["pair (m2)"].agreement) == (1.0, 0.5)
    said = [request.messages[-1].content for request in requests]
    assert sorted(said[: len(said) // 2]) == sorted(said[len(said) // 2 :])


def test_the_same_is_asked_each_time_within_the_bound_and_spread_over_the_leaves() -> None:
    many = [plan(odd(f"leaf{n}", "Adding up", "Count apples total quickly")) for n in range(300)]
    runs = [calibrated(lambda r: verdict(r, True), plans=[*many, *PLANS[2:]], requests=50) for _ in range(2)]
    first, second = ([request.messages for request in requests] for _, requests in runs)
    assert first == second
    assert 40 < len(first) <= 50
    leaves = Counter(
        request.messages[-1].content.split("Mount ")[-1][:6] for _, found in runs[:1] for request in found
    )
    assert len(leaves) > 6


def test_an_instruction_is_not_compared_with_itself_and_the_strange_one_is_of_another_task() -> None:
    _, requests = calibrated(lambda r: verdict(r, True), plans=PLANS[:2])
    judged = [r.messages[-1].content for r in requests if "relevant" in r.schema]
    assert judged
    for said in judged:
        examples, _, rest = said.partition("<instruction>\n")
        question = rest.partition("\n</instruction>")[0]
        assert question not in examples
        assert "Example 3" in examples
    strange = [said for said in judged if "Short verses" in said and "apples" in said]
    assert strange
    # One leaf alone has no other task to take a question from.
    found, requests = calibrated(lambda r: verdict(r, True), plans=PLANS[:1])
    assert not [r for r in requests if "relevant" in r.schema]
    assert by_name(found).keys() == {"pair"}


def test_no_held_out_seed_is_shown_to_a_judge() -> None:
    plans = [plan(leaf, holdout=3) for leaf in (*LEAVES, skill("notice", seeds=8, context=True), knowledge())]
    _, requests = calibrated(lambda r: verdict(r, True), plans=plans)
    held = [s for p in plans for s in p.leaf.seeds if s not in p.seeds]
    assert len(held) > 8
    told = "\n".join(message.content for request in requests for message in request.messages)
    for seed in held:
        assert seed.question not in told
        assert seed.answer not in told


def test_what_could_be_made_is_said_and_all_of_it_is_kept_as_json() -> None:
    yes = Leaf(
        "compositional_skills/yes",
        "compositional_skills",
        "Agree or not",
        (Seed("Is it so?", "Yes"), Seed("Is it not?", "No"), Seed("Or else?", "Maybe so")),
    )
    found, _ = calibrated(lambda r: verdict(r, True), plans=[plan(yes)])
    assert found is not None
    assert found.made == {"as written": 3, "swapped": 3}
    assert found.not_made == {"contradicted": 3, "truncated": 3}
    found, _ = calibrated(lambda r: verdict(r, right(r)))
    assert found is not None
    assert {"contradicted, numbers", "off task", "swapped", "truncated"} <= set(found.made)
    assert jsonl.from_json(Calibration, json.loads(jsonl.line(found))) == found


def test_without_a_judge_nothing_is_asked() -> None:
    found, requests = calibrated(lambda _: "", pack=load_pack("small"))
    assert (found, requests) == (None, [])
    assert calibrated(lambda _: "", plans=[plan(replace(skill(seeds=1), seeds=(Seed("a", "b"),)))])[0] is None


@pytest.mark.parametrize(
    ("answer", "made", "way"),
    [
        ("It is 41.5 metres deep, and 1,200 wide.", "It is 52.6 metres deep, and 2,311 wide.", "numbers"),
        ("البحيرة عميقة ٤١ مترا", "البحيرة عميقة ٥٢ مترا", "numbers"),
        ("1. Boil water\n2. Add 3 eggs", "1. Boil water\n2. Add 4 eggs", "numbers"),
        ("The poem is by Ane Tol.", "The poem is by Mara Quill.", "names"),
        ("The lake is deep.", "The lake is not deep.", "negation"),
        ("The lake isn't deep.", "The lake is deep.", "negation"),
        ("der see ist tief", "der see ist nicht tief", "negation"),
        ("Le lac est profond.", "Le lac n'est pas profond.", "negation"),
        ("El lago es profundo.", "El lago no es profundo.", "negation"),
        ("湖是深的。", "湖不是深的。", "negation"),
        ("湖不是深的。", "湖是深的。", "negation"),
        ("これは湖です。", "これは湖ではありません。", "negation"),
        ("Blue, green", "", ""),
    ],
)
def test_a_contradiction_says_something_else(answer: str, made: str, way: str) -> None:
    others = [Seed("Where does Mara Quill live?", "In a hut.")]
    assert contradicted(Seed("What of it?", answer), others) == (made, way)


def test_a_changed_number_is_none_that_the_passage_holds() -> None:
    seed = Seed("How deep?", "41 metres.", "It is 41 metres deep; the others have 52, 63 and 74.")
    assert contradicted(seed, ())[0] == "85 metres."


def test_a_broken_off_answer_ends_between_two_words_and_without_a_full_stop() -> None:
    assert truncated("One. Two and three and four, and five.") == "One. Two and"
    assert truncated("Yes, it is.") == ""
    assert truncated("湖是深的。非常深，也很冷。") == "湖是深的"


def test_a_swapped_answer_is_the_most_unlike_and_never_the_same() -> None:
    seeds = [
        Seed("a", "Red boats sail"),
        Seed("b", "red  boats sail"),
        Seed("c", "Boats rust"),
        Seed("d", "Green"),
    ]
    assert swapped(seeds, 0) == "Green"
    assert swapped(seeds[:2], 0) == ""


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_whatever_is_made_differs_from_what_was_written(answer: str, question: str, other: str) -> None:
    seed = Seed(question, answer, other)
    made, way = contradicted(seed, [Seed(other, other)])
    assert bool(made) == bool(way)
    for text in (made, truncated(answer), swapped([seed, Seed(other, other)], 0)):
        assert not text or text.casefold().split() != answer.casefold().split()


def test_wilson_s_interval() -> None:
    # Agrees with the tables: 8 of 10 is 49 to 94 %.
    assert wilson(8, 10) == (pytest.approx(0.4902, abs=1e-3), pytest.approx(0.9433, abs=1e-3))
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(4, 4)[0] > 0.5 > wilson(3, 3)[0]
