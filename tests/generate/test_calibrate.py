from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.generate.plans import knowledge, letters, plan, skill

from feldspar import jsonl
from feldspar.generate import Calibration, LeafPlan, Pack, calibrate, load_pack
from feldspar.generate.corrupt import contradicted, swapped, truncated
from feldspar.generate.rated import JudgeCalibration, Rating, told, wilson
from feldspar.generate.rehearse import rehearsed_calibration
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


@pytest.mark.parametrize(("always", "bias", "kept"), [(True, 0.5, "100%"), (False, -0.5, "0%")])
def test_a_judge_that_says_the_same_to_all_is_at_chance_and_its_bias_shows(
    always: bool, bias: float, kept: str
) -> None:
    found, _ = calibrated(lambda request: verdict(request, always))
    for judge in by_name(found).values():
        assert judge.at_chance
        assert (judge.agreement, judge.bias) == (0.5, bias)
        assert judge.low < 0.5 < judge.high
    assert found is not None
    for line in found.lines:
        assert "at chance (50% right), ignore it" in line
        assert f"keeps {kept} of seeds, {kept} of corrupted" in line


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
    assert any("at chance on: truncated" in line for line in found.lines if line.startswith("judge pair"))


def test_an_unreadable_judge_is_counted_and_no_made_up_score() -> None:
    found, requests = calibrated(lambda _: "hm")
    assert found is not None
    for judge in found.judges:
        assert (judge.count, judge.mean_good, judge.bias, judge.at_chance) == (0, None, 0.0, True)
    # Each was asked for as often as any draft's verdict is.
    assert sum(judge.unreadable for judge in found.judges) * PACK.attempts == len(requests)
    assert all("too little could be read" in line for line in found.lines)


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
    assert calibrated(lambda _: "", plans=[])[0] is None


def test_a_judge_that_cannot_be_measured_is_named_with_the_reason() -> None:
    bare = plan(replace(skill(seeds=1), seeds=(Seed("a", "b"),)))
    found, requests = calibrated(lambda _: "", plans=[bare])
    assert requests == []
    assert found is not None
    assert set(found.not_measured) == {"pair, freeform leaves", "instruction, freeform leaves"}
    assert all(line.startswith("judge ") and "not measured" in line for line in found.lines)


def talk(leaf: Leaf) -> LeafPlan:
    return plan(replace(leaf, turns=2))


def turns_of(request: Request) -> list[str]:
    """What the assistant says in the conversation that is judged."""
    said = request.messages[-1].content
    inside = said.partition("<conversation>\n")[2].partition("\n</conversation>")[0]
    return [part.partition("\n\nUser: ")[0] for part in inside.split("Assistant: ")[1:]]


def test_a_conversation_is_two_seeds_as_turns_and_either_answer_is_corrupted() -> None:
    plans = [talk(LEAVES[0]), talk(LEAVES[1])]
    answers = {seed.answer for one in plans for seed in one.seeds}
    found, requests = calibrated(
        lambda r: verdict(r, r.schema.count("score") > 0 and set(turns_of(r)) <= answers), plans=plans
    )
    judged = [turns_of(r) for r in requests if "score" in r.schema]
    assert judged
    assert all(len(said) == 2 for said in judged)
    assert len({tuple(said) for said in judged if set(said) <= answers}) > 4
    wrong = [[said in answers for said in both] for both in judged if not set(both) <= answers]
    # A judge that reads one of the answers alone is right on half.
    assert 0.3 < sum(first for first, _ in wrong) / len(wrong) < 0.7
    assert all(sum(both) == 1 for both in wrong)
    judges = by_name(found)
    assert set(judges) == {"conversation", "instruction"}, "no draw of these leaves asks for a pair"
    kinds = {rating.kind: rating.agreement for rating in judges["conversation"].ratings}
    assert (kinds["as written"], kinds["truncated"], kinds["contradicted"]) == (1, 1, 1)


def test_answers_about_two_texts_are_no_conversation_that_is_known_to_be_good() -> None:
    notice = skill("notice", seeds=6, context=True)
    found, requests = calibrated(lambda r: verdict(r, True), plans=[talk(notice), talk(LEAVES[0])])
    assert found is not None
    reason = found.not_measured["conversation, grounded leaves"]
    assert any(line.endswith(reason) and "grounded" in line for line in found.lines)
    assert not [r for r in requests if "<text>" in r.messages[-1].content and "score" in r.schema]
    same = replace(notice, seeds=tuple(replace(seed, context="One notice for all") for seed in notice.seeds))
    found, requests = calibrated(lambda r: verdict(r, True), plans=[talk(same)])
    assert found is not None
    assert "conversation, grounded leaves" not in found.not_measured
    assert [r for r in requests if "<text>\nOne notice for all\n</text>" in r.messages[-1].content]


def test_few_conversations_among_many_leaves_are_not_missed() -> None:
    many = [plan(odd(f"leaf{n}", "Adding up", "Count apples total quickly")) for n in range(120)]
    found, _ = calibrated(lambda r: verdict(r, True), plans=[*many, talk(LEAVES[0])])
    assert by_name(found)["conversation"].count >= 10


@pytest.mark.parametrize("judges", [0, 1, 2])
def test_what_would_be_asked_is_what_is_asked(judges: int) -> None:
    plans = [*PLANS, talk(odd("talk", "Small talk", "Discuss weather mildly now"))]
    told_of: list[tuple[int, int]] = []
    names = [f"m{n}@r" for n in range(max(1, judges))]
    teachers = [ScriptedTeacher(lambda r: verdict(r, True), identity=name) for name in names]
    panel = tuple(teachers) if judges else ()
    teacher = ScriptedTeacher(lambda _: "", identity="teacher") if judges else teachers[0]

    def tell(done: int, total: int) -> None:
        told_of.append((done, total))

    found = asyncio.run(calibrate(plans, teacher, PACK, seed=1, judges=panel, tell=tell))
    planned = rehearsed_calibration(plans, PACK, seed=1, judges=judges)
    for place, one in enumerate(teachers):
        mine = [asked.request for asked in planned if asked.judge == (place if judges else -1)]
        assert sorted(map(repr, mine)) == sorted(map(repr, one.requests))
    assert found is not None
    assert len(planned) == found.requests * len(teachers)
    assert told_of == [(done, len(planned)) for done in range(len(planned) + 1)]
    assert rehearsed_calibration(plans, load_pack("small"), seed=1) == ()
    assert rehearsed_calibration([], PACK, seed=1) == ()


@given(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=200),
    st.lists(st.tuples(st.integers(0, 99), st.floats(0, 1), st.booleans()), min_size=1, max_size=5),
    st.tuples(st.integers(0, 10**4), st.integers(0, 10**4)),
    st.booleans(),
)
@example("pair (a-model-with-a-long-name-26B)", [(9, 1.0, False), (9, 1.0, False)], (0, 0), True)
def test_a_line_about_a_judge_is_short_and_says_whether_it_is_at_chance(
    name: str, kinds: list[tuple[int, float, bool]], lost: tuple[int, int], chance: bool
) -> None:
    ratings = tuple(
        Rating(f"kind {n}", count, 0, 0, kept, None, 0.5, 0, 1, weak)
        for n, (count, kept, weak) in enumerate(kinds)
    )
    counted = sum(rating.count for rating in ratings)
    line = told(JudgeCalibration(name, ratings, counted, *lost, 0.5, 0, 1, 0.0, None, None, chance))
    assert len(line) <= 110
    assert line.startswith(f"judge {name[:9]}")
    readable = ratings[0].count and counted > ratings[0].count
    assert ("at chance (50% right)" in line) == bool(chance and readable)
    assert ("% of corrupted" in line) == bool(readable)


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
