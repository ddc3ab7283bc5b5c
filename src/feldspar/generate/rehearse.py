"""A single draw out of its turn: before anybody is asked, and again out of what is stored."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from feldspar.errors import NotStored
from feldspar.generate.ask import Context, Panel, Turn
from feldspar.generate.calibrate import calibrate
from feldspar.generate.drawing import pipeline
from feldspar.generate.pack import Checks, Pack
from feldspar.generate.plan import LeafPlan, section_name
from feldspar.generate.units import rota_of, units_of
from feldspar.teacher import Reply, Request, Teacher
from feldspar.types import Draft, Seed

_ASKING = ("instruction", "question")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, and whose."""

    request: Request
    judge: int = -1
    """Which of the judges is asked; -1: the teacher."""


class _StandIn:
    """A teacher that says what a seed says, and yes to everything."""

    def __init__(self, seed: Seed, asked: list[Asked], judge: int = -1) -> None:
        self.identity = f"judge {judge}" if judge >= 0 else "stand-in"
        self.asked = asked
        self.step = ""
        self._judge = judge
        self._seed = seed
        self._turns = 0

    def turn(self, draft: Draft, step: str) -> Turn:
        self.step = step
        return (), None

    async def ask(self, request: Request) -> Reply:
        self.asked.append(Asked(request, self._judge))
        text = self._seed.answer
        if self.step in _ASKING:
            text = self._seed.question
        elif self.step == "context":
            text = self._seed.context
        elif self.step == "followup":
            # The question again would be an echo, which ends a conversation.
            self._turns += 1
            text = _anew(self._seed.question, self._turns)
        if not request.schema:
            return Reply(text)
        kinds = json.loads(request.schema).get("properties", {})
        return Reply(json.dumps({key: _said(kind, text) for key, kind in kinds.items()}))

    async def close(self) -> None:
        """Has nothing to let go of."""


def _anew(text: str, turn: int) -> str:
    """A text as long, in the same script and without a word of it, another one each turn."""
    moved = (chr(ord(letter) + turn) if letter.isalpha() else letter for letter in text)
    return "".join(new if new.isalpha() else old for new, old in zip(moved, text, strict=True))


def _said(kind: object, text: str) -> object:
    choices = kind.get("enum") if isinstance(kind, dict) else None
    return ("yes" if "yes" in choices else choices[-1]) if choices else text


def rehearse(plan: LeafPlan, pack: Pack, *, seed: int, judges: int = 0) -> tuple[Request, ...]:
    """The requests of `rehearsed`, whoever is asked."""
    return tuple(asked.request for asked in rehearsed(plan, pack, seed=seed, judges=judges))


def rehearsed(plan: LeafPlan, pack: Pack, *, seed: int, judges: int = 0) -> tuple[Asked, ...]:
    """The requests of a leaf's first draw, were it kept at every step; nobody is asked.

    What the teacher will write is not known: a shown seed's question, answer and context stand for it.

    Args:
        plan: What is drawn of the leaf; it must be one that can be drawn.
        pack: The prompts.
        seed: The run's seed.
        judges: How many models judge in the teacher's place; 0: the teacher.
    """
    # A follow-up in a seed's words would not pass, and the conversation would end there.
    free = {"checks": Checks(near_duplicate=None, repetition=False)}
    section = pack.sections[section_name(plan)].model_copy(update=free)
    asked: list[Asked] = []
    teacher = _StandIn(plan.seeds[0], asked)
    context = Context(
        plan,
        teacher,
        pack.model_copy(update={"attempts": 1}),
        section,
        seed,
        units_of(plan.passages, section) if plan.leaf.branch == "knowledge" else (),
        rota_of(plan, section),
        judges=tuple(_StandIn(plan.seeds[0], asked, place) for place in range(judges)),
        turn=teacher.turn,
    )
    asyncio.run(_through(context))
    return tuple(asked)


def rehearsed_calibration(
    plans: Sequence[LeafPlan], pack: Pack, *, seed: int, judges: int = 0
) -> tuple[Asked, ...]:
    """The requests that calibrating the judges takes, were each reply readable; nobody is asked.

    Args:
        plans: The leaves that can be drawn.
        pack: The prompts.
        seed: The run's seed.
        judges: How many models judge in the teacher's place; 0: the teacher.
    """
    asked: list[Asked] = []
    if plans:
        once = pack.model_copy(update={"attempts": 1})
        one = plans[0].seeds[0]
        panel = tuple(_StandIn(one, asked, place) for place in range(judges))
        asyncio.run(calibrate(plans, _StandIn(one, asked), once, seed=seed, judges=panel))
    return tuple(asked)


async def replay(
    plan: LeafPlan, draw: int, teacher: Teacher, pack: Pack, panel: Panel, *, seed: int
) -> Draft:
    """One draw again, alone, as far as its replies are there.

    It is not compared with other drafts, as only deciding it in its turn would.

    Args:
        plan: The leaf's.
        draw: Its number.
        teacher: Who raises `NotStored` for what is not there.
        pack: The prompts.
        panel: Who judges.
        seed: The run's seed.
    """
    section = pack.sections[section_name(plan)]
    units = units_of(plan.passages, section) if plan.leaf.branch == "knowledge" else ()
    context = Context(
        plan,
        teacher,
        pack,
        section,
        seed,
        units,
        rota_of(plan, section),
        judges=panel.judges,
        agree=panel.agree,
    )
    draft = Draft(f"{plan.leaf.path}#{draw}", plan.leaf.path, draw)
    for step in pipeline(section_name(plan)):
        try:
            draft = await step(draft, context)
        except NotStored:
            break
        if draft.rejected:
            break
    return draft


async def _through(context: Context) -> None:
    path = context.plan.leaf.path
    draft = Draft(f"{path}#1", path, 1)
    for step in pipeline(section_name(context.plan)):
        # A seed is too like itself to be kept: what is rejected here goes on.
        draft = replace(await step(draft, context), rejected="")
