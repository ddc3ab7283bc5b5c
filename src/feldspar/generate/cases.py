"""What the judges are measured on: seeds as they are written, and corrupted.

Making the cases asks nobody: `calibrate` puts them to the judges, `plan` counts them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from feldspar.facts import content_words, coverage
from feldspar.generate.corrupt import contradicted, swapped, truncated
from feldspar.generate.followup import conversation
from feldspar.generate.pack import Pack, Section
from feldspar.generate.plan import LeafPlan, asks, section_name
from feldspar.generate.rated import AS_WRITTEN
from feldspar.generate.template import shuffled
from feldspar.generate.units import focus_of
from feldspar.types import Draft, Message, Seed

_OF_ANSWERS = {"freeform": "pair_judge", "grounded": "pair_judge", "knowledge": "faithfulness_judge"}
_OF_INSTRUCTIONS = "instruction_judge"
_OF_CONVERSATIONS = "conversation_judge"
_CANDIDATES = 16
"""Other leaves looked at, to find one that is unlike."""

_LEAST_UNLIKE = 0.34
"""Most of a question's content words that may occur in another task for it to be off that task."""

_WHY_NOT = {
    _OF_CONVERSATIONS: "it takes two seeds about one text",
    _OF_INSTRUCTIONS: "no other leaf's questions are unlike enough",
}
_TOO_FEW = "no known draft could be made of the seeds"


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to be judged."""

    kind: str
    values: Mapping[str, str]
    """What the judge's placeholders stand for."""
    way: str = ""
    """How a contradiction was made."""


@dataclass(frozen=True, slots=True)
class Group:
    """A seed as it is written, and what was made of it, all for one judge of the pack."""

    plan: LeafPlan
    step: str
    """The judge, as the pack's section names it."""
    shown: tuple[int, ...]
    """The seeds that its prompt shows as examples."""
    cases: tuple[Case, ...]
    lacking: tuple[str, ...]
    """Kinds that could not be made."""


def known_drafts(
    plans: Sequence[LeafPlan], pack: Pack, *, seed: int, requests: int = 100
) -> tuple[Group, ...]:
    """What the judges are to rate; nobody is asked.

    Args:
        plans: The leaves; only their shown seeds are used.
        pack: The prompts.
        seed: The run's seed; which seeds are taken depends on it and on the leaves alone.
        requests: How many cases there are, at most, spread over the leaves.
    """
    groups, left = [], requests
    for group in _in_turn(plans, pack, seed):
        left -= len(group.cases)
        if left < 0:
            break
        groups.append(group)
    return tuple(groups)


def unmeasured(plans: Sequence[LeafPlan], pack: Pack, groups: Sequence[Group]) -> dict[str, str]:
    """The judges that draws will ask and that no group measures, by name and section, with the reason."""
    asked = set()
    for plan in plans:
        name = section_name(plan)
        if name in pack.sections:
            asked |= {(step, name) for step in asks(plan, pack.sections[name]) if step.endswith("_judge")}
    lacking = sorted(asked - {(group.step, section_name(group.plan)) for group in groups})
    return {
        f"{step.removesuffix('_judge')}, {name} leaves": _WHY_NOT.get(step, _TOO_FEW)
        for step, name in lacking
    }


def _in_turn(plans: Sequence[LeafPlan], pack: Pack, seed: int) -> Iterator[Group]:
    """The leaves' groups: of each section one after the other, leaf after leaf, seed after seed."""
    by_section: dict[str, list[Iterator[Group]]] = {}
    for plan in (plans[place] for place in shuffled(len(plans), seed, "calibrate")):
        name = section_name(plan)
        if name not in pack.sections:
            continue
        # Conversations have a judge of their own: few of them among many leaves must not be missed.
        queue = by_section.setdefault(f"{name} turns" if plan.leaf.turns > 1 else name, [])
        # Leaves begin with the one or the other judge in turn: of many leaves, few come twice.
        queue.append(_groups(plan, pack.sections[name], plans, seed, len(queue) % 2))
    queues = [queue for _, queue in sorted(by_section.items())]
    while queues:
        for queue in list(queues):
            found = None
            while queue and found is None:
                groups = queue.pop(0)
                found = next(groups, None)
                if found is not None:
                    queue.append(groups)
            if found is None:
                queues.remove(queue)
            else:
                yield found


def _groups(
    plan: LeafPlan, section: Section, plans: Sequence[LeafPlan], seed: int, first: int
) -> Iterator[Group]:
    name, asked = section_name(plan), asks(plan, section)
    # Of pairs and conversations a leaf's draws ask one judge: what is said in turns is judged as a whole.
    steps = [step for step in (_OF_ANSWERS[name], _OF_CONVERSATIONS, _OF_INSTRUCTIONS) if step in asked]
    if name != "knowledge" and first:
        steps.reverse()
    for place in shuffled(len(plan.seeds), seed, plan.leaf.path, "calibrate"):
        if name == "grounded" and not plan.seeds[place].context:
            continue
        for step in steps:
            if step == _OF_INSTRUCTIONS:
                group = _instructions(plan, place, _strange_question(plan, plans, seed, place), section)
            else:
                group = _answers(plan, place, step)
            if len(group.cases) > 1:
                yield group


def _answers(plan: LeafPlan, place: int, step: str) -> Group:
    """A seed's answer, as it is and corrupted in every way that can be."""
    seeds = plan.seeds
    others = (*seeds[place + 1 :], *seeds[:place])
    beside = None
    if step == _OF_CONVERSATIONS:
        beside = next((one for one in others if _may_follow(one, seeds[place])), None)
        if beside is None:
            return Group(plan, step, (), (), ())
    contrary, way = contradicted(seeds[place], others)
    # Numbers can be changed into those of a seed that no prompt may show (rule 6).
    held = {seed.answer.strip() for seed in plan.leaf.seeds if seed not in seeds}
    if contrary.strip() in held:
        contrary = way = ""
    made = {
        "swapped": swapped(seeds, place),
        "truncated": truncated(seeds[place].answer),
        "contradicted": contrary,
    }
    cases = [Case(AS_WRITTEN, _values(plan, place, seeds[place].answer, beside))]
    cases += [
        Case(kind, _values(plan, place, text, beside), way if kind == "contradicted" else "")
        for kind, text in made.items()
        if text
    ]
    return Group(plan, step, (), tuple(cases), tuple(kind for kind, text in made.items() if not text))


def _may_follow(one: Seed, other: Seed) -> bool:
    """Whether two seeds make a conversation that is right as it stands.

    A judge of conversations sees one text alone: an answer about another would be rightly rejected.
    """
    asked, said = (" ".join(seed.question.casefold().split()) for seed in (one, other))
    return asked != said and one.context.split() == other.context.split()


def _instructions(plan: LeafPlan, place: int, strange: str, section: Section) -> Group:
    """A seed's question under its own task, and a question of an unlike leaf in its place."""
    values = _values(plan, place, plan.seeds[place].answer)
    cases = [Case(AS_WRITTEN, values)]
    if strange:
        cases.append(Case("off task", {**values, "question": strange}))
    # Were the question itself among the examples, it would be no question whether it fits them.
    count = len(plan.seeds)
    shown = tuple((place + step) % count for step in range(1, min(count, section.shown_seeds + 1)))
    return Group(plan, _OF_INSTRUCTIONS, shown, tuple(cases), () if strange else ("off task",))


def _strange_question(plan: LeafPlan, plans: Sequence[LeafPlan], seed: int, place: int) -> str:
    """A shown question of the most unlike of some other leaves; empty where none is unlike."""
    mine = content_words("\n".join((plan.leaf.task, *(entry.question for entry in plan.seeds))))
    order = shuffled(min(len(plans), 4 * _CANDIDATES), seed, plan.leaf.path, "off task", place)
    others = (plans[at] for at in order if plans[at].leaf.path != plan.leaf.path and plans[at].seeds)
    best, least = "", _LEAST_UNLIKE
    for other in islice(others, _CANDIDATES):
        question = other.seeds[place % len(other.seeds)].question
        asked = content_words(question)
        shared = len(asked & mine) / len(asked) if asked else 1.0
        if shared < least:
            best, least = question, shared
    return best


def _values(plan: LeafPlan, place: int, answer: str, beside: Seed | None = None) -> dict[str, str]:
    """What a judge's placeholders stand for when a seed is judged; its context is the passage.

    Args:
        plan: The leaf's.
        place: Which of its seeds.
        answer: The seed's, or what was made of it.
        beside: The seed that a conversation's other turn is, as it is written.
    """
    seed = plan.seeds[place]
    values = {
        "question": seed.question,
        "answer": answer,
        "context": seed.context,
        "passage": seed.context,
        "focus": focus_of(seed.context, lambda sentence: coverage(seed.answer, sentence)),
        "heading": "",
        "document": "",
    }
    if beside is None:
        return values
    turns = [(seed.question, answer), (beside.question, beside.answer)]
    # In every other conversation it is the last answer that is corrupted: the judge must read all.
    (asked, said), (then, last) = turns if place % 2 else turns[::-1]
    later = (Message("user", then), Message("assistant", last))
    talk = Draft("", plan.leaf.path, 0, instruction=asked, response=said, turns=later)
    return values | {"question": asked, "answer": said, "conversation": conversation(talk)}
