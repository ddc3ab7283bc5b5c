"""A plan's shown seeds by their numbers in the leaf, and what is worked out of them.

The plans of a pool share one long tuple of seeds (`pool.py`): what is made of it is made once, not again
for each leaf, and is told by the tuples themselves, since to hash thousands of seeds takes long.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import lru_cache
from types import MappingProxyType

from feldspar.generate.checks import Known, compared, known
from feldspar.generate.held import Held
from feldspar.generate.pack import NearDuplicate
from feldspar.generate.plan import LeafPlan
from feldspar.types import Seed


class _Alike:
    """A plan as a key: it equals another whose seeds, and what must not be asked, are the same tuples."""

    __slots__ = ("_parts", "plan")

    def __init__(self, plan: LeafPlan) -> None:
        self.plan = plan
        self._parts: tuple[Hashable, ...] = (
            id(plan.seeds),
            id(plan.leaf.seeds),
            # An empty tuple is always the same one, and so is what is asked with each leaf's own.
            id(plan.avoid),
            plan.leaf.branch == "knowledge",
        )

    def __hash__(self) -> int:
        return hash(self._parts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Alike) and self._parts == other._parts


def numbered(plan: LeafPlan) -> Mapping[int, Seed]:
    """The shown seeds by their numbers: from 1, in the order of the leaf's file, those held out counted."""
    return _numbered(_Alike(plan))


def fitting(plan: LeafPlan, grounded: bool) -> tuple[int, ...]:
    """The numbers of the seeds that prompts may show: with `grounded`, of those that have a context."""
    return _fitting(_Alike(plan), grounded)


def held_out(plan: LeafPlan) -> Held:
    """What the leaf's drafts must not ask, beside what none must."""
    return _held_out(_Alike(plan))


def ready(plan: LeafPlan, contexts: bool, near: NearDuplicate) -> tuple[Known, ...]:
    """The shown seeds, ready to be compared with drafts; `contexts`: by their contexts, too."""
    return _ready(_Alike(plan), contexts, near)


# The keys hold on to the plans, so that no other tuple can take an id while it counts.
@lru_cache(maxsize=8)
def _numbered(key: _Alike) -> Mapping[int, Seed]:
    plan = key.plan
    found: dict[int, Seed] = {}
    number = 0
    for seed in plan.seeds:
        at = next((n for n in range(number, len(plan.leaf.seeds)) if plan.leaf.seeds[n] == seed), None)
        # A seed that its leaf does not have comes after all that it has.
        number = max(number, len(plan.leaf.seeds)) + 1 if at is None else at + 1
        found[number] = seed
    return MappingProxyType(found)


@lru_cache(maxsize=8)
def _fitting(key: _Alike, grounded: bool) -> tuple[int, ...]:
    return tuple(number for number, seed in _numbered(key).items() if seed.context or not grounded)


@lru_cache(maxsize=8)
def _held_out(key: _Alike) -> Held:
    return Held.build(key.plan.held_out)


@lru_cache(maxsize=8)
def _ready(key: _Alike, contexts: bool, near: NearDuplicate) -> tuple[Known, ...]:
    return tuple(
        known(f"seed {n}", compared(seed.context if contexts else "", seed.question, seed.answer, near))
        for n, seed in _numbered(key).items()
    )
