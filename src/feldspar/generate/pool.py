"""Self-Instruct's random pool in place of the taxonomy: the baseline of §3.2 and Figure 2.

The paper argues that a prompt whose examples come at random from all seeds is an average of them, and
that the teacher then writes what it writes most easily. `pooled` makes such prompts out of the same
plans, and `by_task` tells which tasks its samples turned out to be.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from feldspar.generate.checks import likeness
from feldspar.generate.diversity import prompt_words, seed_words
from feldspar.generate.plan import LeafPlan, section_name
from feldspar.types import Leaf, Sample, Seed

ANY_TASK = "Anything that people ask an AI assistant for"
"""Stands in the prompts where a leaf's task stood: the same prompts otherwise."""


def pooled(plans: Sequence[LeafPlan]) -> list[LeafPlan]:
    """The plans, with every skill's prompts out of the pool of all leaves' shown seeds (Self-Instruct).

    Each leaf keeps its path, persona, quota and budget, so that a run makes as many draws and calls, and
    its draws keep their numbers: which seeds a draw shows depends on the run's seed, the leaf and its
    number alone (rule 1). A pool is of one pipeline: freeform seeds show no contexts, grounded ones need
    them. Its language is what the seeds have in common. Knowledge leaves stay as they are: their questions
    come from their documents.

    What any leaf of the pool holds out is shown by none and avoided by all (rule 6).

    Args:
        plans: As they are for `sampling: taxonomy`.

    Returns:
        As many plans, in their order.
    """
    kinds: dict[str, list[LeafPlan]] = {}
    for plan in plans:
        kinds.setdefault(section_name(plan), []).append(plan)
    kinds.pop("knowledge", None)
    pools = {name: _pool(members) for name, members in kinds.items()}
    found = []
    for plan in plans:
        if (name := section_name(plan)) not in pools:
            found.append(plan)
            continue
        seeds, avoid = pools[name]
        languages = {member.leaf.language for member in kinds[name]}
        language = languages.pop() if len(languages) == 1 else ""
        leaf = replace(plan.leaf, task=ANY_TASK, domain="", seeds=seeds, language=language)
        found.append(replace(plan, leaf=leaf, seeds=seeds, avoid=avoid))
    return found


def _pool(plans: Sequence[LeafPlan]) -> tuple[tuple[Seed, ...], tuple[str, ...]]:
    """The seeds that are shown, each once, and all that must not be asked."""
    avoid = tuple(dict.fromkeys(asked for plan in plans for asked in plan.held_out))
    held = set(avoid)
    seeds: dict[tuple[str, str, str], Seed] = {}
    for seed in (seed for plan in plans for seed in plan.seeds):
        # Another leaf may hold out what this one shows.
        if not held & {_folded(seed.question), _folded(f"{seed.context} {seed.question}")}:
            seeds.setdefault((seed.context, seed.question, seed.answer), seed)
    return tuple(seeds.values()), avoid


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def by_task(samples: Iterable[Sample], leaves: Sequence[Leaf], *, least: float = 0.0) -> Iterator[Sample]:
    """The samples, each with the leaf of the seed that its instruction is most like (ROUGE-L).

    A pool's sample has the leaf whose turn it was, which says nothing of its task.

    Args:
        samples: Of any leaf; a knowledge sample keeps its own.
        leaves: Whose seeds they are compared with; the first of equals.
        least: Up to this likeness a sample is of no leaf: its `leaf` is empty.
    """
    seeds = [(leaf.path, seed) for leaf in leaves if leaf.branch != "knowledge" for seed in seed_words(leaf)]
    for sample in samples:
        if sample.branch == "knowledge":
            yield sample
            continue
        said, nearest, like = prompt_words(sample), "", least
        for path, seed in seeds:
            found = likeness(said, seed)
            if found > like:
                nearest, like = path, found
        yield replace(sample, leaf=nearest)
