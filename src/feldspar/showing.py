"""One sample's whole story, or a rejected draft's: its leaf, passage, verdicts, twins and every request."""

from __future__ import annotations

import difflib
import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from feldspar import jsonl, stages
from feldspar.errors import FeldsparError, RunError
from feldspar.generate.pack import AVAILABLE
from feldspar.generate.template import derive
from feldspar.generate.twins import Twin
from feldspar.run import Run
from feldspar.stages import Work
from feldspar.teacher import Journal
from feldspar.types import Draft, Leaf

_ATTEMPTS = 10
_FOLD = 2**31 - 1
"""What seeds are folded to on the wire."""


@dataclass(frozen=True, slots=True)
class _Fate:
    """What became of a draw."""

    head: str
    more: tuple[str, ...] = ()
    filed: bool = True
    """Whether it is in a file, and so decided."""


def show(folder: Path, name: str) -> str:
    """A sample's or a rejected draft's whole story, as text.

    A draw that is in no file is told out of the journal: one that was begun ahead of need, or any of a run
    that is not finished, also while another process works on it. Nothing is written.

    Raises:
        RunError: Nothing was drawn yet, or nothing has this id; near ones are named.
    """
    run = Run(folder, create=False, lock=False)
    finished = run.complete("2-samples")
    path, mark, number = name.rpartition("#")
    path = path if mark else name
    if not finished and not (run.complete("1-leaves") and (run.folder / "journal.sqlite").is_file()):
        raise RunError(f"{folder} has no 2-samples yet", "`feldspar generate` makes it.")
    draft = _found(run, name) if finished else None
    fate = _decided(draft) if draft is not None else None
    leaf = _leaf(run, draft.leaf if draft else path)
    if draft is None and leaf is not None and number.isascii() and number.isdecimal() and len(number) < 10:
        draft, fate = _replayed(run, leaf, int(number), finished)
    if draft is None or leaf is None or fate is None:
        hint = _hint(run, path, leaf) if finished else _hint_so_far(run, path, leaf)
        raise RunError(f"{folder} has no sample or draft {name}{'' if finished else ' so far'}", hint)
    parts = ["\n".join(_told(draft, leaf, run, fate))]
    if not (run.folder / "journal.sqlite").is_file():
        return f"{parts[0]}\n\nrequests: not to be had, {run.folder / 'journal.sqlite'} is gone"
    with Journal(run.folder / "journal.sqlite", readonly=True) as journal:
        seed = run.recipe.generate.seed if run.recipe is not None else 0
        steps = _steps(seed, draft)
        parts += [_request(journal, key, place, steps) for place, key in enumerate(draft.requests, 1)]
    return "\n\n".join(parts)


def _decided(draft: Draft) -> _Fate:
    return _Fate(f"rejected: {draft.rejected}" if draft.rejected else "accepted")


def _lines(path: Path, name: str) -> Iterator[bytes]:
    """The lines that may be about an id; no other is parsed, and none is kept."""
    # As it is written, and as it is where half a surrogate pair stands in the line.
    wanted = {json.dumps(name, ensure_ascii=plain).encode("utf-8", "replace") for plain in (True, False)}
    if path.exists():
        with path.open("rb") as lines:
            for line in lines:
                if any(one in line for one in wanted):
                    yield line


def _found(run: Run, name: str) -> Draft | None:
    for file in ("drafts", "rejected"):
        where = f"2-samples/{file}.jsonl"
        for line in _lines(run.path("2-samples") / f"{file}.jsonl", name):
            data = json.loads(line)
            if data.get("id") == name:
                return jsonl.from_json(Draft, data, where)
    return None


def _leaf(run: Run, path: str) -> Leaf | None:
    leaves = jsonl.read(run.path("1-leaves") / "leaves.jsonl", Leaf)
    return next((leaf for leaf in leaves if leaf.path == path), None)


def _hint(run: Run, path: str, leaf: Leaf | None) -> str:
    funnel = json.loads((run.path("2-samples") / "funnel.json").read_text(encoding="utf-8"))
    if leaf is not None:
        draws = funnel.get(leaf.path, {}).get("draws", 0)
        if draws:
            return f"The leaf has draws 1 to {draws}, and no other was begun: {path}#1, say."
        return "The leaf has no draws."
    return _near(path, list(funnel))


def _hint_so_far(run: Run, path: str, leaf: Leaf | None) -> str:
    """What to ask for, where no file says which draws there are."""
    if leaf is not None:
        return f"Of that draw nothing is in the journal. The first are {path}#1, {path}#2 and so on."
    leaves = [leaf.path for leaf in jsonl.read(run.path("1-leaves") / "leaves.jsonl", Leaf)]
    return _near(path, leaves)


def _near(path: str, leaves: Sequence[str]) -> str:
    """Ids of the leaves that are called much like this, or of some."""
    near = difflib.get_close_matches(path, leaves, n=3, cutoff=0.5)
    some = ", ".join(f"{one}#1" for one in near or leaves[:3])
    return f"Did you mean {some}? Ids look like this: LEAF#DRAW." if near else f"Ids look like this: {some}"


def _replayed(run: Run, leaf: Leaf, draw: int, finished: bool) -> tuple[Draft | None, _Fate | None]:
    """A draw as far as the journal has it; None where it has nothing of it.

    Raises:
        RunError: The run is not finished, and what it asks cannot be told any more.
    """
    if run.recipe is None or draw < 1:
        return None, None
    try:
        work = Work(run, run.recipe)
        with Journal(run.folder / "journal.sqlite", readonly=True) as journal:
            draft, whole = stages.replayed(work, stages.plan_of(work, leaf), draw, journal)
    except FeldsparError:
        # The teacher's weights may be gone, or the prompts changed: then there is no telling.
        if finished:
            return None, None
        raise
    if draft is None or not draft.requests:
        return None, None
    if finished:
        head = "surplus: it was begun ahead of need, and is in the journal alone"
        return draft, _Fate(head, ("It is part of no file; nothing was decided of it.",), filed=False)
    return draft, _so_far(run, draft, whole)


def _so_far(run: Run, draft: Draft, whole: bool) -> _Fate:
    """The fate of a draw of a run that is not finished, and how that goes on."""
    if draft.rejected:
        head = f"rejected so far: {draft.rejected}"
    elif whole:
        head = "kept so far: every step is done"
    else:
        head = "under way: its next reply is not there yet"
    again = shlex.join(["feldspar", "generate", str(run.folder / "recipe.yaml"), "--out", str(run.folder)])
    more = [
        "The run is not finished: this is what the journal has. Drafts are compared with each other in the",
        "order of draws alone, so one can still turn out to be a near-duplicate, or not to be needed.",
        f"Unless the run is at work just now, `{again}` goes on.",
    ]
    budget = run.recipe.generate.budget if run.recipe is not None else None
    if budget is not None and (budget.tokens is not None or budget.cost is not None):
        more.append("It has a budget (generate.budget): where that is spent, raise it first.")
    return _Fate(head, tuple(more), filed=False)


def _told(draft: Draft, leaf: Leaf, run: Run, fate: _Fate) -> Iterator[str]:
    yield f"{draft.id}: {fate.head}"
    yield from fate.more
    if draft.rejected and draft.verdicts:
        last = draft.verdicts[-1]
        yield f"by {last.judge}: {last.reason}"
        yield from _twin(run, leaf, last.reason, fate)
    yield f"leaf: {leaf.path} ({leaf.branch}), {leaf.task}"
    yield from _shown(draft, leaf, run)
    if draft.passage is not None:
        place = f"{draft.passage.document}[{draft.passage.start}:{draft.passage.end}]"
        yield f"passage: {place}, {' > '.join(draft.passage.heading)}\n{draft.passage.text.strip()}"
    if draft.context:
        yield f"context: {draft.context}"
    yield f"instruction: {draft.instruction}"
    yield f"response: {draft.response}"
    yield from (f"then {turn.role}: {turn.content}" for turn in draft.turns)
    yield from _support(draft, leaf)
    for verdict in draft.verdicts:
        score = "" if verdict.score is None else f" {verdict.score:g}"
        yield f"{verdict.judge}: {'keep' if verdict.keep else 'reject'}{score}: {verdict.reason}"
    if not draft.rejected and fate.filed:
        yield from _after(run, draft)


def _twin(run: Run, leaf: Leaf, reason: str, fate: _Fate) -> Iterator[str]:
    """The text that a near-duplicate is like."""
    if not reason.startswith("like "):
        return
    name = reason.removeprefix("like ")
    if name.startswith("seed "):
        number = name.removeprefix("seed ")
        if number.isdecimal() and not _pooled(run):
            yield from _seed(leaf, int(number))
        return
    other = _found(run, name) if fate.filed else None
    if other is not None:
        yield f"  {name}: {other.instruction}\n  -> {other.response}"


def _pooled(run: Run) -> bool:
    return run.recipe is not None and run.recipe.generate.sampling == "pool"


def _seed(leaf: Leaf, number: int) -> Iterator[str]:
    """One of the leaf's seeds, by its number in the leaf's file."""
    if 0 < number <= len(leaf.seeds):
        seed = leaf.seeds[number - 1]
        line = f" (line {seed.line})" if seed.line else ""
        yield f"  seed {number}{line}: {seed.question}"


def _shown(draft: Draft, leaf: Leaf, run: Run) -> Iterator[str]:
    """The seeds that stood in its prompts."""
    if draft.seeds and _pooled(run):
        yield "seeds shown: of all leaves (generate.sampling: pool); the requests have them"
    elif draft.seeds:
        yield "seeds shown:"
        for number in draft.seeds:
            yield from _seed(leaf, number)


def _support(draft: Draft, leaf: Leaf) -> Iterator[str]:
    if not draft.support or draft.passage is None:
        return
    name = draft.passage.document
    text = next((document.text for document in leaf.documents if document.path == name), "")
    for span in draft.support:
        yield f"it stands on {name}[{span.start}:{span.end}]: {' '.join(text[span.start : span.end].split())}"


def _after(run: Run, draft: Draft) -> Iterator[str]:
    """What became of a sample: its twins in other leaves, and the phases that it joins."""
    for line in _lines(run.path("2-samples") / "twins.jsonl", draft.id):
        twin = jsonl.from_json(Twin, json.loads(line), "2-samples/twins.jsonl")
        if twin.id == draft.id:
            yield f"twin: like {twin.like}, {twin.similarity:.2f}; the mix drops this one"
        elif twin.like == draft.id:
            yield f"twin: {twin.id} is like it, {twin.similarity:.2f}, and is dropped by the mix"
    if not run.complete("3-phases"):
        return
    joined = []
    listed = json.loads((run.path("3-phases") / "phases.json").read_text(encoding="utf-8"))["phases"]
    for name in (entry["phase"]["name"] for entry in listed):
        for line in _lines(run.path("3-phases") / f"{name}.jsonl", draft.id):
            row = json.loads(line)
            if row.get("id") == draft.id:
                joined.append(f"{name}{' (replayed)' if row.get('replayed_from') else ''}")
    yield f"phases: {', '.join(joined) or 'none, see 3-phases/dropped.json'}"


def _steps(seed: int, draft: Draft) -> dict[int, str]:
    """The steps that a draw's requests were for, by their seeds."""
    names = dict.fromkeys(step for section in AVAILABLE.values() for step in section)
    return {
        derive(seed, draft.leaf, step, draft.draw, attempt) % _FOLD: step
        + (f", attempt {attempt + 1}" if attempt else "")
        for step in names
        for attempt in reversed(range(_ATTEMPTS))
    }


def _request(journal: Journal, key: str, place: int, steps: dict[int, str]) -> str:
    found = journal.get(key)
    if found is None:
        return f"request {place}: not in the journal ({key[:12]})"
    asked, reply = found
    turns: Sequence[dict[str, str]] = asked.get("messages", [])
    said = "\n".join(f"  {turn['role']}: {turn['content']}" for turn in turns)
    what = steps.get(asked.get("seed", -1), "a step that is not known")
    return f"request {place} ({key[:12]}): {what}, by {asked.get('model')}\n{said}\n  -> {reply.text}"
