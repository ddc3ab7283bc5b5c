"""The pipelines, step by step: what is asked, with what, and what each reply leads to."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest
from tests.generate.plans import TEXT, collected, knowledge, perfect, plan, skill

from feldspar.generate import LeafPlan, generate, load_pack, pipeline_calls, to_sample
from feldspar.generate.pack import Pack
from feldspar.generate.packs import parse_pack
from feldspar.generate.units import focus_of, units_of
from feldspar.teacher import Request, ScriptedTeacher
from feldspar.types import Draft, Message, Passage

DEFAULT, SMALL = load_pack("default"), load_pack("small")


def drafts_of(
    plan: LeafPlan, function: object, pack: Pack = DEFAULT
) -> tuple[tuple[Draft, ...], list[Request]]:
    teacher = ScriptedTeacher(function)  # type: ignore[arg-type]

    async def first() -> tuple[Draft, ...]:
        return (await collected(generate([plan], teacher, pack, seed=0, slots=lambda: 1)))[0].drafts

    return asyncio.run(first()), teacher.requests


def keys(request: Request) -> list[str]:
    return list(json.loads(request.schema)["properties"]) if request.schema else []


@pytest.mark.parametrize(
    ("leaf", "calls"), [(skill(), 4), (skill(context=True, style="precise"), 5), (knowledge(), 3)]
)
def test_a_kept_draw_makes_the_calls_that_were_planned(leaf: object, calls: int) -> None:
    made = plan(leaf, 1, 1)  # type: ignore[arg-type]
    drafts, requests = drafts_of(made, perfect)
    assert not drafts[0].rejected
    assert len(requests) == calls == pipeline_calls(made, DEFAULT)


def test_the_paper_s_four_stages_in_order() -> None:
    drafts, requests = drafts_of(plan(skill(), 1, 1), perfect)
    judged = ["relevant", "harmless", "answerable"]
    assert [keys(request) for request in requests] == [
        ["instruction"],
        [f"{judge}_{part}" for judge in judged for part in ("because", "verdict")],
        [],
        ["explanation", "score"],
    ]
    # A reason comes before its verdict, even where keys are sorted on the way.
    assert [sorted(keys(request)) for request in (requests[3],)] == [["explanation", "score"]]
    assert [(v.judge, v.keep, v.score) for v in drafts[0].verdicts] == [
        *((judge, True, None) for judge in judged),
        ("pair", True, 3.0),
    ]
    # Rated examples of every grade stand before the pair.
    rated = [json.loads(m.content)["score"] for m in requests[3].messages if m.role == "assistant"]
    assert rated == [1, 2, 3]


def test_the_persona_is_the_leaf_s() -> None:
    systems = {
        style: drafts_of(plan(skill(style=style), 1, 1), perfect)[1][2].messages[0].content
        for style in ("precise", "creative")
    }
    assert systems["precise"] != systems["creative"]
    assert systems["creative"] == DEFAULT.sections["freeform"].steps["creative"].system


@pytest.mark.parametrize(("score", "rejected"), [(1, "judged out"), (2, ""), (3, "")])
def test_pairs_at_two_or_above_are_kept(score: int, rejected: str) -> None:
    def judge(request: Request) -> str:
        return (
            json.dumps({"explanation": "So.", "score": score})
            if "score" in keys(request)
            else perfect(request)
        )

    drafts, _ = drafts_of(plan(skill(), 1, 1), judge)
    assert drafts[0].rejected == rejected
    assert (drafts[0].verdicts[-1].judge, drafts[0].verdicts[-1].score) == ("pair", score)
    assert drafts[0].verdicts[-1].reason == "So."


def test_an_instruction_judged_out_is_not_answered_and_the_deciding_verdict_is_last() -> None:
    def judge(request: Request) -> str:
        if "harmless_verdict" not in keys(request):
            return perfect(request)
        said = {key: "yes" if key.endswith("verdict") else "fine" for key in keys(request)}
        return json.dumps(said | {"harmless_verdict": "no", "harmless_because": "It asks for a poison."})

    drafts, requests = drafts_of(plan(skill(), 1, 1), judge)
    assert (drafts[0].rejected, len(requests)) == ("judged out", 2)
    assert drafts[0].verdicts[-1].judge == "harmless"
    assert drafts[0].verdicts[-1].reason == "It asks for a poison."
    assert len(drafts[0].verdicts) == 3


def test_an_unreadable_judge_is_no_verdict_and_is_asked_again_with_another_seed() -> None:
    asked: list[Request] = []

    def mumble(request: Request) -> str:
        if "score" not in keys(request):
            return perfect(request)
        asked.append(request)
        return "Good, I think?" if len(asked) % 2 else json.dumps({"explanation": "", "score": 2})

    drafts, _ = drafts_of(plan(skill(), 1, 1), mumble)
    assert not drafts[0].rejected
    assert asked[0].seed != asked[1].seed
    # The same words at temperature 0 would only be mumbled again.
    assert (asked[0].temperature, asked[1].temperature) == (0, 0.5)
    drafts, requests = drafts_of(plan(skill(), 1, 1), lambda r: "?" if "score" in keys(r) else perfect(r))
    assert (drafts[0].rejected, drafts[0].verdicts[-1].score) == ("unparsable", None)
    assert len(requests) == 3 + DEFAULT.attempts


def test_grounded_skills_get_a_context_which_the_rest_is_about() -> None:
    drafts, requests = drafts_of(plan(skill(context=True, style="precise"), 1, 1), perfect)
    context = drafts[0].context
    assert context
    assert not requests[0].schema
    assert all(context in request.messages[-1].content for request in requests[1:])
    sample = to_sample(drafts[0], skill(context=True))
    assert sample.messages[0].content == f"{context}\n\n{drafts[0].instruction}"


@pytest.mark.parametrize(("answer", "rejected"), [("Meet at nine.", ""), ("Meet at eleven.", "ungrounded")])
def test_a_grounded_skill_s_answer_stays_with_its_context_where_the_pack_says_so(
    answer: str, rejected: str
) -> None:
    def script(request: Request) -> str:
        said = request.messages[-1].content
        if said == "Write a new text.":
            return "The rowers meet at nine in the boathouse on the quay."
        return answer if "When do they" in said else "When do they meet?"

    drafts, _ = drafts_of(plan(skill(context=True), 1, 1), script, SMALL)
    assert drafts[0].rejected == rejected
    assert drafts[0].verdicts[-1].judge == "grounding"


def test_every_seed_takes_its_turn() -> None:
    drafts, _ = drafts_of(plan(skill(seeds=7), 14, 14), perfect)
    counts = [sum(n in d.seeds for d in drafts) for n in range(1, 8)]
    assert all(len(d.seeds) == len(set(d.seeds)) == 3 for d in drafts)
    assert min(counts) >= 2
    assert len({frozenset(d.seeds) for d in drafts}) > 7
    section = DEFAULT.sections["freeform"].model_copy(update={"shown_seeds": 1})
    one_at_a_time = DEFAULT.model_copy(update={"sections": {"freeform": section}})
    drafts, _ = drafts_of(plan(skill(seeds=7), 14, 14), perfect, one_at_a_time)
    assert [sum(d.seeds == (n,) for d in drafts) for n in range(1, 8)] == [2] * 7


def test_passages_take_turns_and_the_answer_sees_its_own_alone() -> None:
    made = plan(knowledge(), 4, 4)
    drafts, requests = drafts_of(made, perfect)
    # Those about one passage are neighbours: their prompts begin alike.
    first, second = made.passages
    assert [d.passage for d in drafts] == [first, first, second, second]
    for draft, request in zip(drafts, (asked for asked in requests if not asked.schema), strict=True):
        assert draft.passage
        assert draft.passage.text.strip() in request.messages[-1].content


def test_a_knowledge_sample_does_not_carry_its_passage_and_says_where_it_is_from() -> None:
    draft = drafts_of(plan(knowledge(), 1, 1), perfect)[0][0]
    sample = to_sample(draft, knowledge())
    assert [m.role for m in sample.messages] == ["user", "assistant"]
    assert sample.messages == (Message("user", draft.instruction), Message("assistant", draft.response))
    origin = sample.origin
    assert (origin.document, origin.licence, origin.name) == ("quarl.md", "CC-BY-4.0", draft.id)
    assert draft.passage
    assert TEXT[origin.start : origin.end] == draft.passage.text
    with pytest.raises(ValueError, match="was rejected"):
        to_sample(replace(draft, rejected="echo"), knowledge())


@pytest.mark.parametrize(
    ("question", "answer", "rejected"),
    [
        ("How deep is the lake Quarl?", "Quarl is 41 metres deep.", ""),
        ("How deep is the lake Quarl?", "Quarl is 57 metres deep.", "ungrounded"),
        # The passage's heading is "Lakes > Quarl".
        ("How deep is the lake Quarl?", "Of all Lakes, Quarl is 41 metres deep.", ""),
        ("How deep is the lake Quarl?", "Of all Ponds, Quarl is 41 metres deep.", "ungrounded"),
        ("How deep is it according to the text?", "Quarl is 41 metres deep.", "does not stand alone"),
        (
            "How deep is the lake Quarl?",
            "The passage says that Quarl is 41 metres deep.",
            "does not stand alone",
        ),
        ("Where is the lake of Quarl?", "The lake lies in Vesmar.", "near-duplicate"),
        ("Where is the lake of Quarl?", "It is crossed in two hours from Vesmar.", ""),
    ],
)
def test_knowledge_needs_no_judge_to_filter(question: str, answer: str, rejected: str) -> None:
    def script(request: Request) -> str:
        if keys(request) == ["question"]:
            return json.dumps({"question": question})
        return perfect(request) if request.schema else answer

    drafts, requests = drafts_of(plan(knowledge(), 1, 1), script)
    assert drafts[0].rejected == rejected
    # A draft that is out is not judged; duplicates are decided last, in draw order.
    judged = any("faithful_verdict" in keys(request) for request in requests)
    assert judged == (rejected in {"", "near-duplicate"})


def test_the_small_pack_shows_a_seed_s_sentence_and_asks_about_a_sentence() -> None:
    def script(request: Request) -> str:
        focus = request.messages[-1].content.removeprefix("Text: ").split("\n")[0]
        return focus if "Question:" in request.messages[-1].content else f"What of this: {focus[:-1]}?"

    drafts, requests = drafts_of(plan(knowledge(), 6, 6), script, SMALL)
    assert not any(request.schema for request in requests)
    shown = [m.content for r in requests[::2] for m in r.messages if m.role == "user"]
    assert "Text: The lake Quarl lies in Vesmar." in shown
    asked = [r.messages[-1].content for r in requests if "Question:" not in r.messages[-1].content]
    assert asked[0] == "Text: Quarl is a lake in the north of Vesmar."
    # A sentence that opens with a pronoun takes the one along that says who is meant.
    assert asked[1] == "Text: Quarl is a lake in the north of Vesmar. It is 41 metres deep."
    assert drafts[0].verdicts[-1].judge in {"grounding", "form"}


def test_units_leave_out_headings_and_lose_no_passage() -> None:
    section = SMALL.sections["knowledge"]
    text = "# Quarl\n\nQuarl is a deep lake. Yes. It freezes over in winter."
    units = units_of([Passage("a", (), text, 0, len(text)), Passage("a", (), "Cold.", 0, 5)], section)
    assert [[unit.focus for unit in mine] for mine in units] == [
        ["Quarl is a deep lake.", "Yes. It freezes over in winter."],
        ["Cold."],
    ]


def test_a_focus_is_the_sentence_that_fits_best() -> None:
    assert focus_of("One is. Two are here. Three.", len) == "Two are here."
    assert focus_of("", len) == ""


def test_a_pack_without_a_section_says_so() -> None:
    pack = parse_pack(
        "name: tiny\nsections: {freeform: {steps: "
        "{instruction: {user: more, parse: line}, precise: {user: '{question}'}}}}",
        "tiny.yaml",
    )
    teacher = ScriptedTeacher(perfect)

    async def outcomes() -> list[str]:
        plans = [plan(knowledge()), plan(skill(), 1, 2)]
        return sorted(o.outcome.error for o in await collected(generate(plans, teacher, pack, seed=0)))

    told = "knowledge/quarl: the prompt pack `tiny` has no section `knowledge`: write one, or choose another "
    assert asyncio.run(outcomes())[-1] == told + "(teacher.pack)"
    assert pipeline_calls(plan(knowledge()), pack) == 0
    # One persona serves both styles.
    assert pipeline_calls(plan(skill(style="creative")), pack) == 2


def test_what_a_seed_or_a_document_says_is_never_a_template() -> None:
    leaf = skill()
    seeds = tuple(
        replace(seed, question=f"{seed.question} {{answer}} {{task}}", answer='{"a": "{question}"}')
        for seed in leaf.seeds
    )
    _, requests = drafts_of(LeafPlan(replace(leaf, seeds=seeds), seeds, (), 1, 1), perfect)
    assert "{answer} {task}" in requests[0].messages[-1].content
    assert requests[2].messages[2].content == '{"a": "{question}"}'
