"""From the recipe's names to models: the teacher that answers, the student that is tuned.

The only place that knows what `embedded` means, and where a Hugging Face id has its tokenizer.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from feldspar import teacher as teachers
from feldspar.errors import StudentError, TeacherError
from feldspar.recipe import Recipe
from feldspar.teacher import CountTokens, HttpTeacher, Journal, Journaled, Patience

SLOTS = 1
"""Requests that our own server works on at once. A reply's rounding depends on what it is batched with,
so one at a time is what makes equal requests equal replies; on a laptop's cores, where most of the
time goes into reading prompts, it costs little."""

_WAITING = 2
"""Requests in flight to our own server: the next one waits there while one is worked on."""

_REMOTE_IN_FLIGHT = 64
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
    in_flight: int
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
    in_flight = settings.max_in_flight
    if in_flight == "auto":
        in_flight = _WAITING if weights is not None else _REMOTE_IN_FLIGHT
    return TeacherPlan(
        model=teachers.EMBEDDED_MODEL if weights is not None else settings.model,
        weights=weights,
        identity=" ".join(part for part in (digest, settings.revision) if part),
        pack=pack,
        in_flight=in_flight,
        passage_tokens=_passage_tokens(recipe, weights),
        count_tokens=teachers.token_counter(weights) if weights else teachers.approximate_counter(),
    )


def _passage_tokens(recipe: Recipe, weights: Path | None) -> int:
    asked = recipe.generate.passage_tokens
    if asked != "auto":
        return asked
    context = recipe.teacher.context
    if context == "auto":
        context = (teachers.context_length(weights) if weights else 0) or _REMOTE_CONTEXT
    # A judge's prompt can hold the passage and an answer as long.
    return min(_LONGEST_PASSAGE, max(_SHORTEST_PASSAGE, (context - _PROMPT_ROOM) // 2))


@asynccontextmanager
async def open_teacher(recipe: Recipe, plan: TeacherPlan, journal: Path) -> AsyncIterator[Journaled]:
    """The teacher with its journal, started, and closed afterwards."""
    with Journal(journal) as book:
        server, teacher = None, None
        endpoints = recipe.teacher.endpoints
        try:
            if plan.weights is not None:
                context = plan.passage_tokens + _PROMPT_ROOM
                # Loading takes seconds of native code; the event loop must go on meanwhile.
                server = await asyncio.to_thread(teachers.serve, plan.weights, SLOTS, context)
                endpoints = (server.url,)
            http = HttpTeacher(
                plan.model,
                endpoints,
                # A server of our own gets no key: it asks for none.
                api_key="" if server else os.environ.get(recipe.teacher.api_key_env, ""),
                max_in_flight=plan.in_flight,
                identity=plan.identity,
                key_env=recipe.teacher.api_key_env,
                patience=Patience(total=_OWN_PATIENCE) if server else None,
            )
            teacher = Journaled(http, book)
            await http.probe()
            yield teacher
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
