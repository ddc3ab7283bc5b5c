"""What is to be drawn of each leaf, what came of it, and which seeds are held out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from feldspar.generate.held import NOTHING, Held
from feldspar.generate.pack import AVAILABLE, Pack, Section
from feldspar.generate.template import shuffled
from feldspar.types import Leaf, Passage, Seed


@dataclass(frozen=True, slots=True)
class LeafPlan:
    """How much is drawn of a leaf, and out of what."""

    leaf: Leaf
    seeds: tuple[Seed, ...]
    """Those that prompts may show; the leaf's others are held out."""
    passages: tuple[Passage, ...]
    """Of a knowledge leaf's documents, in order."""
    target: int
    """Accepted drafts that are wanted."""
    max_draws: int
    """The budget: a leaf that needs more stops, and says so."""
    quotas: int = 1
    """Into how many equal quotas both are divided: one, or one for each passage."""
    last: int = 0
    """No draw after this one is made, whatever is still wanted: a pilot; 0: the budget alone counts."""
    avoid: tuple[str, ...] = ()
    """Questions that this leaf's drafts must not ask, beside its own held-out seeds; in no prompt."""
    graded: Held = NOTHING
    """Those that no leaf's drafts must ask: of question files and benchmarks; one index for all leaves."""

    @property
    def held_out(self) -> tuple[str, ...]:
        """Every prompt that must not come into the training data (rule 6)."""
        shown = {_asked(seed, self.leaf) for seed in self.seeds}
        held = (_asked(seed, self.leaf) for seed in self.leaf.seeds)
        return (*(asked for asked in held if asked not in shown), *self.avoid)


@dataclass(frozen=True, slots=True)
class LeafOutcome:
    """What came of a leaf: its funnel (rule 3)."""

    leaf: str
    """Its path."""
    target: int = 0
    """Accepted drafts that were wanted."""
    accepted: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    """Draws by the short name of the reason."""
    judges: Mapping[str, int] = field(default_factory=dict)
    """Rejected draws by the check or judge that decided."""
    surplus: int = 0
    """Draws begun beyond those that count; they depend on timing and are no samples."""
    surplus_calls: int = 0
    """Requests made for them, and those that a near-duplicate made after its instruction."""
    error: str = ""
    """Why the leaf yielded nothing; empty if it yielded something."""
    spent: bool = False
    """Whether each quota that is not met has spent its budget; where not, draws are missing."""

    @property
    def draws(self) -> int:
        """Draws that count: `accepted` and all of `rejected` together."""
        return self.accepted + sum(self.rejected.values())


def section_name(plan: LeafPlan) -> str:
    """Which pipeline a leaf takes: `knowledge`, `grounded` (its seeds have contexts) or `freeform`."""
    if plan.leaf.branch == "knowledge":
        return "knowledge"
    return "grounded" if any(seed.context for seed in plan.seeds) else "freeform"


def asks(plan: LeafPlan, section: Section, judges: int = 1) -> dict[str, int]:
    """The steps that ask the teacher, in order, each with how many requests are left from it on.

    Counted for a draw of this leaf that is kept at every step, without redraws; so many judge it.
    """
    later = plan.leaf.turns - 1 if "followup" in section.steps else 0
    left_out = {"precise", "creative"} - {response_step(plan, section)}
    left_out |= {"pair_judge"} if later else {"followup", "conversation_judge"}
    left: dict[str, int] = {}
    count = 0
    for step in reversed(tuple(AVAILABLE[section_name(plan)])):
        if step in section.steps and step not in left_out:
            count += 2 * later if step == "followup" else judges if step.endswith("_judge") else 1
            left[step] = count
    return dict(reversed(left.items()))


def pipeline_calls(plan: LeafPlan, pack: Pack) -> int:
    """Requests that a draw of this leaf takes when it is kept at every step, without redraws."""
    section = pack.sections.get(section_name(plan))
    return max(asks(plan, section).values(), default=0) if section else 0


def why_nothing(plan: LeafPlan, pack: Pack) -> str:
    """Why a leaf cannot be drawn at all, in words; empty if it can."""
    path, name = plan.leaf.path, section_name(plan)
    if not plan.seeds:
        return f"{path}: there is no seed to show the teacher"
    if name == "knowledge" and not any(passage.text.strip() for passage in plan.passages):
        return f"{path}: there is no document text to teach"
    if name not in pack.sections:
        return (
            f"{path}: the prompt pack `{pack.name}` has no section `{name}`: write one, or choose another "
            "(teacher.pack)"
        )
    if plan.leaf.turns > 1 and "followup" not in pack.sections[name].steps:
        return (
            f"{path}: it is to have {plan.leaf.turns} turns (generate.turns), and the prompt pack "
            f"`{pack.name}` has no step `followup` in `{name}`: give it 1 turn, or choose another pack "
            "(`teacher.pack: default` has the step)"
        )
    if plan.target > 0 and plan.max_draws < 1:
        return f"{path}: its budget is no draw at all: raise generate.max_draws_per_sample"
    return ""


def response_step(plan: LeafPlan, section: Section) -> str:
    """The step of the leaf's persona (§3.2.1, stage 3); a pack with one persona uses it for all."""
    return plan.leaf.style if plan.leaf.style in section.steps else "precise"


def split_seeds(leaf: Leaf, holdout: int, seed: int) -> tuple[tuple[Seed, ...], tuple[Seed, ...]]:
    """Divide a leaf's seeds into those that are shown to the teacher and those held out for grading.

    The held-out are spread over the seeds' contexts, depend on the leaf and `seed` alone, and never
    include the last one shown. A question that is there twice is held out with all its copies; one
    that a skill asks of several contexts is several.

    Args:
        leaf: The leaf.
        holdout: How many questions to hold out, at most.
        seed: The run's seed.

    Returns:
        The shown and the held-out seeds, both in the leaf's order.
    """
    groups: dict[str, list[str]] = {}
    for entry in leaf.seeds:
        questions = groups.setdefault(" ".join(entry.context.split()), [])
        if _asked(entry, leaf) not in questions:
            questions.append(_asked(entry, leaf))
    ranked = {
        context: [
            questions[place] for place in shuffled(len(questions), seed, leaf.path, "hold out", context)
        ]
        for context, questions in groups.items()
    }
    first = shuffled(len(groups), seed, leaf.path, "hold out")
    contexts = [tuple(groups)[place] for place in first]
    contexts.sort(key=lambda context: -len(groups[context]))
    order = _in_turn(contexts, ranked)
    held = set(order[: max(0, min(holdout, len(order) - 1))])
    shown = tuple(entry for entry in leaf.seeds if _asked(entry, leaf) not in held)
    return shown, tuple(entry for entry in leaf.seeds if _asked(entry, leaf) in held)


def _in_turn(contexts: list[str], ranked: Mapping[str, list[str]]) -> list[str]:
    longest = max((len(ranked[context]) for context in contexts), default=0)
    turns = [ranked[c][turn] for turn in range(longest) for c in contexts if turn < len(ranked[c])]
    return list(dict.fromkeys(turns))


def _asked(seed: Seed, leaf: Leaf) -> str:
    """What a student is asked: a skill's question with its context, a knowledge leaf's without."""
    context = "" if leaf.branch == "knowledge" else seed.context
    return " ".join(f"{context} {seed.question}".casefold().split())
