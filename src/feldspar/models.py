"""From the recipe's names to models: the teacher that answers, the student that is tuned.

The only place that knows what `embedded` means, and where a Hugging Face id has its tokenizer.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from feldspar import teacher as teachers
from feldspar.errors import StudentError, TeacherError
from feldspar.recipe import JudgeSettings, Recipe, TeacherSettings
from feldspar.teacher import CountTokens, HttpTeacher, Journal, Journaled, Patience, Price

SLOTS = 1
"""Requests that our own server works on at once. A reply's rounding depends on what it is batched with,
so one at a time is what makes equal requests equal replies; on a laptop's cores, where most of the
time goes into reading prompts, it costs little."""

_WAITING = 2
"""Requests in flight to our own server: the next one waits there while one is worked on."""

_STORED_AT_ONCE = 64
"""Requests taken as in flight where replies come out of a journal."""

_OWN_PATIENCE = 60.0
"""Seconds of faults: a server of our own that has died does not come back."""

_PROMPT_ROOM = 1600
"""Tokens of a prompt beyond the passage: instructions, shown seeds and the reply."""

_REMOTE_CONTEXT = 4096
_SHORTEST_PASSAGE, _LONGEST_PASSAGE = 128, 1000
"""Tokens; longer ones teach less of each of their sentences."""


@dataclass(frozen=True, slots=True)
class TeacherPlan:
    """Which teacher a recipe means; nothing is started yet."""

    model: str
    weights: Path | None
    """The GGUF that Feldspar serves itself; None: the endpoints serve `model`."""
    identity: str
    """What its replies depend on: the weights' digest, the recipe's revision."""
    pack: str
    """The prompt pack's name or path."""
    passage_tokens: int
    """How large a passage of a document may be."""
    count_tokens: CountTokens


def plan_teacher(recipe: Recipe) -> TeacherPlan:
    """Find the teacher's weights and its pack.

    Raises:
        TeacherError: the model package or the file is missing, or damaged.
    """
    settings = recipe.teacher
    weights = None
    if not settings.endpoints:
        weights = _weights(settings.model, "teacher.model")
        if weights is None:
            raise TeacherError(
                f"teacher.model is {settings.model}, which is no GGUF file, and teacher.endpoints is empty.",
                "Give the endpoints that serve it, the path of a .gguf file, or `embedded`.",
            )
    embedded = settings.model == teachers.EMBEDDED_MODEL
    pack = ("small" if embedded else "default") if settings.pack == "auto" else settings.pack
    digest = teachers.digest(weights) if weights is not None else ""
    return TeacherPlan(
        model=teachers.EMBEDDED_MODEL if weights is not None else settings.model,
        weights=weights,
        identity=" ".join(part for part in (digest, settings.revision) if part),
        pack=pack,
        passage_tokens=_passage_tokens(recipe, weights),
        count_tokens=teachers.token_counter(weights) if weights else teachers.approximate_counter(),
    )


@dataclass(frozen=True, slots=True)
class JudgePlan:
    """A judge that a recipe means; nothing is started yet."""

    settings: JudgeSettings
    model: str
    weights: Path | None
    """The GGUF that Feldspar serves itself; None: the endpoints serve `model`."""
    identity: str
    """What its verdicts depend on: the weights' digest, the recipe's revision."""
    is_teacher: bool = False
    """It is the teacher's own model: the teacher is asked, and nothing is started."""
    key: str = "judges.0"
    """Where the recipe has it."""


def plan_judges(recipe: Recipe, teacher: TeacherPlan) -> tuple[JudgePlan, ...]:
    """Find the judges' weights.

    Raises:
        TeacherError: the model package or a file is missing, or damaged.
    """
    plans = []
    for place, settings in enumerate(recipe.judges):
        weights = None if settings.endpoints else _weights(settings.model, f"judges.{place}.model")
        digest = teachers.digest(weights) if weights is not None else ""
        model = settings.model if weights is None else teachers.EMBEDDED_MODEL
        identity = " ".join(part for part in (digest, settings.revision) if part)
        same = (model, identity, settings.endpoints) == (
            teacher.model,
            teacher.identity,
            recipe.teacher.endpoints,
        )
        plans.append(JudgePlan(settings, model, weights, identity, same, f"judges.{place}"))
    return tuple(plans)


def judge_inputs(judges: Sequence[JudgePlan]) -> dict[str, str]:
    """What of the judges the samples depend on, by name: no address, no speed."""
    found = {}
    for place, plan in enumerate(judges, 1):
        name = Path(plan.model).name if plan.model.startswith("/") else plan.model
        found[f"judge {place}"] = f"{name}@{plan.identity}" if plan.identity else name
    return found


def _passage_tokens(recipe: Recipe, weights: Path | None) -> int:
    asked = recipe.generate.passage_tokens
    if asked != "auto":
        return asked
    context = recipe.teacher.context
    if context == "auto":
        context = (teachers.context_length(weights) if weights else 0) or _REMOTE_CONTEXT
    # A judge's prompt can hold the passage and an answer as long.
    return min(_LONGEST_PASSAGE, max(_SHORTEST_PASSAGE, (context - _PROMPT_ROOM) // 2))


@dataclass(frozen=True, slots=True)
class Opened:
    """Models that have been started, each with the run's journal in front."""

    teacher: Journaled
    judges: tuple[Journaled | teachers.Deferred, ...] = ()
    """Who is asked for verdicts; empty: the teacher."""
    slots: Callable[[], int] = lambda: 1
    """How many requests the teacher works on at once, just now."""


@asynccontextmanager
async def open_teachers(
    recipe: Recipe, plan: TeacherPlan, judges: Sequence[JudgePlan], journal: Path
) -> AsyncIterator[Opened]:
    """The teacher and the judges over one journal, started, and closed afterwards."""
    async with AsyncExitStack() as stack:
        book = stack.enter_context(Journal(journal))
        budget = _budget(recipe, plan, judges, journal)
        context = plan.passage_tokens + _PROMPT_ROOM
        started = _started(book, recipe.teacher, plan, context, budget)
        teacher, slots = await stack.enter_async_context(started)
        opened = []
        for judge in judges:
            if judge.is_teacher:
                opened.append(teacher)
                continue
            started = _started(book, judge.settings, judge, context, budget)
            one, _ = await stack.enter_async_context(started)
            opened.append(one)
        yield Opened(teacher, tuple(opened), slots)


@asynccontextmanager
async def open_stored(
    recipe: Recipe, plan: TeacherPlan, judges: Sequence[JudgePlan], journal: Path, *, may_judge: bool
) -> AsyncIterator[Opened]:
    """The same over what is stored: the teacher writes nothing new, and raises `NotStored`.

    Those who judge may be asked where `may_judge`; they are started once they are.
    """
    async with AsyncExitStack() as stack:
        book = stack.enter_context(Journal(journal))
        budget = _budget(recipe, plan, judges, journal)
        context = plan.passage_tokens + _PROMPT_ROOM

        def deferred(
            settings: TeacherSettings | JudgeSettings, of: TeacherPlan | JudgePlan
        ) -> teachers.Deferred:
            async def start() -> Journaled:
                started = _started(book, settings, of, context, budget)
                return (await stack.enter_async_context(started))[0]

            return teachers.Deferred(identity_of(of), book, start)

        teacher = deferred(recipe.teacher, plan)
        asked = [teacher if judge.is_teacher else deferred(judge.settings, judge) for judge in judges]
        stored = Journaled(teacher, book, stored_only=True)
        heard = tuple(asked) or (teacher,)
        if not may_judge:
            opened = tuple(Journaled(judge, book, stored_only=True) for judge in heard)
            yield Opened(stored, opened, lambda: _STORED_AT_ONCE)
            return
        yield Opened(stored, heard, lambda: _STORED_AT_ONCE)


def prices(recipe: Recipe, judges: Sequence[JudgePlan]) -> tuple[Price, dict[str, Price]]:
    """The teacher's price, which all have that have none of their own; and these, by identity."""
    own = {
        identity_of(judge): Price(judge.settings.price.prompt, judge.settings.price.completion)
        for judge in judges
        if judge.settings.price is not None and not judge.is_teacher
    }
    return Price(recipe.teacher.price.prompt, recipe.teacher.price.completion), own


def _budget(
    recipe: Recipe, plan: TeacherPlan, judges: Sequence[JudgePlan], journal: Path
) -> teachers.Budget | None:
    """What the recipe lets the run spend; None: as much as it takes."""
    settings = recipe.generate.budget
    if settings.tokens is None and settings.cost is None:
        return None
    return teachers.Budget(journal, settings.tokens, settings.cost, *prices(recipe, judges))


def identity_of(plan: TeacherPlan | JudgePlan) -> str:
    """What an `HttpTeacher` of this plan is known by."""
    return f"{plan.model}@{plan.identity}" if plan.identity else plan.model


def _of_judge(text: str, plan: JudgePlan) -> str:
    """An error's words about a teacher, about a judge."""
    return re.sub(r"\bteacher\.(?=(?:endpoints|model|api_key_env)\b)", lambda _: f"{plan.key}.", text)


@asynccontextmanager
async def _started(
    book: Journal,
    settings: TeacherSettings | JudgeSettings,
    plan: TeacherPlan | JudgePlan,
    context: int,
    budget: teachers.Budget | None,
) -> AsyncIterator[tuple[Journaled, Callable[[], int]]]:
    """A model of the recipe, behind the journal, and how many requests it works on at once.

    `context` is in tokens, where we serve it ourselves.
    """
    server, teacher = None, None
    endpoints = settings.endpoints
    limit = None if settings.max_in_flight == "auto" else settings.max_in_flight
    if limit is None and plan.weights is not None:
        limit = _WAITING
    try:
        if plan.weights is not None:
            # Loading takes seconds of native code; the event loop must go on meanwhile.
            server = await asyncio.to_thread(teachers.serve, plan.weights, SLOTS, context)
            endpoints = (server.url,)
        http = HttpTeacher(
            plan.model,
            endpoints,
            # A server of our own gets no key: it asks for none.
            api_key="" if server else os.environ.get(settings.api_key_env, ""),
            max_in_flight=limit,
            identity=plan.identity,
            key_env=settings.api_key_env,
            patience=Patience(total=_OWN_PATIENCE) if server else None,
        )
        teacher = Journaled(http, book, budget=budget)
        try:
            await http.probe()
        except TeacherError as error:
            if isinstance(plan, TeacherPlan):
                raise
            raise type(error)(_of_judge(error.what, plan), _of_judge(error.mend, plan)) from error
        yield teacher, lambda: SLOTS if server else http.limit
    finally:
        if teacher is not None:
            await teacher.close()
        if server is not None:
            server.close()


def student_source(recipe: Recipe) -> str:
    """What `load_student` is to load: a path, or a Hugging Face id.

    Raises:
        StudentError: the embedded model's package is not installed, or there is no such GGUF file.
    """
    try:
        return str(_weights(recipe.student.model, "student.model") or recipe.student.model)
    except TeacherError as error:
        raise StudentError(error.what, error.mend) from error


def student_digest(recipe: Recipe) -> str:
    """What tells one student from another: a file's digest, a folder's sizes, an id as it stands.

    A folder's weights may be many gigabytes; their names and sizes tell a new download from an old.
    """
    path = Path(student_source(recipe))
    if path.is_file():
        return teachers.digest(path)
    if path.is_dir():
        files = sorted(item for item in path.iterdir() if item.is_file())
        return " ".join(f"{item.name}:{item.stat().st_size}" for item in files)
    return recipe.student.model


def student_counter(recipe: Recipe) -> CountTokens:
    """Counts text in the student's tokens, without torch.

    Raises:
        StudentError: there is no tokenizer.json to count with.
    """
    source = student_source(recipe)
    if Path(source).exists():
        return teachers.token_counter(Path(source))
    # A Hugging Face id: the file comes from the cache, or from the hub where it may be reached.
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return teachers.token_counter(Path(hf_hub_download(source, "tokenizer.json")))
    except (OSError, HFValidationError, HfHubHTTPError, LocalEntryNotFoundError) as error:
        raise StudentError(
            f"student.model {source}: no such folder, and no tokenizer.json of such a model can be had "
            f"({type(error).__name__}).",
            "Give a folder with the model, or download it first; HF_HUB_OFFLINE=1 keeps to the cache.",
        ) from error


def _weights(model: str, key: str) -> Path | None:
    if model == teachers.EMBEDDED_MODEL:
        return teachers.embedded_model()
    if not model.endswith(".gguf"):
        return None
    path = Path(model)
    if not path.is_file():
        raise TeacherError(f"{key} {path}: there is no such file.", "Name a .gguf file, or `embedded`.")
    return path
