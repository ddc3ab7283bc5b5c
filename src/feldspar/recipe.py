"""Every setting of a run, typed, with its default: the recipe.

Settings live here alone; below this module there are plain parameters. `load` reads a file, puts
`--set` over it and names everything that is wrong at once; `part_digest` says which settings a
stage's result depends on.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError

from feldspar import recipe_words, recipe_yaml
from feldspar.errors import RecipeError
from feldspar.recipe_data import (
    DatasetSettings,
    JudgeSettings,
    LicenceSettings,
    PriceSettings,
    judge_problems,
)
from feldspar.recipe_fields import (
    CONFIG,
    AutoOrCount,
    Endpoint,
    Label,
    ModelName,
    PackName,
    PerPassage,
    RecipePath,
    ServedName,
    TemplateName,
    VariableName,
)
from feldspar.recipe_generate import (
    DEFAULT_HOLDOUT,
    DEFAULT_SAMPLES,
    GenerateSettings,
    holdout_for,
    manner_for,
    quotas_for,
)
from feldspar.recipe_parts import STAGES, difference, part, part_digest
from feldspar.recipe_phases import PRESETS, PhaseSettings, preset, spell_out

__all__ = [
    "DEFAULT_HOLDOUT",
    "DEFAULT_SAMPLES",
    "PRESETS",
    "STAGES",
    "DatasetSettings",
    "GenerateSettings",
    "JudgeSettings",
    "LicenceSettings",
    "PerPassage",
    "PhaseSettings",
    "Recipe",
    "difference",
    "dump",
    "holdout_for",
    "load",
    "manner_for",
    "part",
    "part_digest",
    "plain",
    "preset",
    "quotas_for",
]

OPENING = "The recipe of this run, every default written out."
"""The first line of a run's own recipe."""


class TeacherSettings(BaseModel):
    """Who writes the samples (§3.2)."""

    model_config = CONFIG
    model: ServedName = "embedded"
    """`embedded`, a GGUF's path, or the name that the endpoints serve."""
    revision: Label = ""
    """Changed by a person where the same name serves other weights."""
    endpoints: tuple[Endpoint, ...] = ()
    api_key_env: VariableName = "FELDSPAR_API_KEY"
    max_in_flight: AutoOrCount = "auto"
    context: AutoOrCount = "auto"
    """Tokens of a prompt and its reply; auto: what the GGUF says, 4096 where endpoints serve."""
    pack: PackName = "auto"
    price: PriceSettings = PriceSettings()


class StudentSettings(BaseModel):
    """The model that is tuned."""

    model_config = CONFIG
    model: ModelName = "embedded"
    chat_template: TemplateName = "auto"


class MixSettings(BaseModel):
    """How samples are dealt into phases (§3.3)."""

    model_config = CONFIG
    short_tokens: AutoOrCount = "auto"


class TrainSettings(BaseModel):
    """How training runs on this machine (§3.3)."""

    model_config = CONFIG
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    checkpoints_every: int = Field(1, ge=1)
    """Epochs."""
    seed: int = Field(0, ge=0, le=2**31 - 1)
    threads: AutoOrCount = "auto"


class EvaluateSettings(BaseModel):
    """What base and tuned are compared on (§4)."""

    model_config = CONFIG
    benchmarks: tuple[Literal["taxonomy"], ...] = ("taxonomy",)
    questions: tuple[RecipePath, ...] = ()
    retention: tuple[RecipePath, ...] = ()


def _laptop() -> tuple[PhaseSettings, ...]:
    return preset("laptop")


class Recipe(BaseModel):
    """All settings of a run; paths are absolute, `phases` is the list that a preset stands for."""

    model_config = CONFIG
    taxonomy: RecipePath = Path("taxonomy")
    licences: LicenceSettings = LicenceSettings()
    teacher: TeacherSettings = TeacherSettings()
    judges: tuple[JudgeSettings, ...] = Field((), max_length=9)
    """Who judges in the teacher's place; empty: the teacher."""
    generate: GenerateSettings = GenerateSettings()
    foundational: tuple[DatasetSettings, ...] = ()
    student: StudentSettings = StudentSettings()
    phases: tuple[PhaseSettings, ...] = Field(default_factory=_laptop)
    mix: MixSettings = MixSettings()
    train: TrainSettings = TrainSettings()
    evaluate: EvaluateSettings = EvaluateSettings()


def load(path: Path, sets: Sequence[str] = ()) -> Recipe:
    """Read a recipe and put each `key=value` of `sets` over it.

    Args:
        path: The YAML file; relative paths in it start from its folder.
        sets: Dotted keys; values are YAML; `phases.kt1.epochs=3` finds a phase by its name.

    Raises:
        RecipeError: Everything that is wrong, at once, each with file and line and in words.
    """
    source = recipe_yaml.read(path)
    if any(setting.startswith("phases.") for setting in sets):
        spell_out(source, always=True)
    for setting in sets:
        recipe_yaml.assign(source, setting)
    spell_out(source)
    data = recipe_yaml.frozen(source.data)
    problems = list(source.problems)
    recipe = None
    try:
        recipe = Recipe.model_validate(data, context={"base": path.resolve().parent})
    except ValidationError as error:
        problems += recipe_words.problems(error, source, Recipe)
    if recipe is not None:
        problems += [f"{source.where(place)}: {text}" for place, text in _contradictions(recipe)]
    problems.sort(key=_line)
    if problems or recipe is None:
        count = f"{len(problems)} problems in the recipe:\n" if len(problems) > 1 else ""
        raise RecipeError(count + "\n".join(problems))
    return recipe


def _line(problem: str) -> int:
    """Problems stand in the order of the file's lines, `--set` before them."""
    found = re.match(r".*?:(\d+):", problem)
    return int(found[1]) if found and not problem.startswith("--set") else 0


def _contradictions(recipe: Recipe) -> list[tuple[recipe_yaml.Place, str]]:
    """What no single value is to blame for."""
    found: list[tuple[recipe_yaml.Place, str]] = []
    if not recipe.phases:
        found.append((("phases",), "`phases` is empty: name a preset, or list at least one phase"))
    questions = [path.stem for path in (*recipe.evaluate.questions, *recipe.evaluate.retention)]
    datasets = [entry.name for entry in recipe.foundational]
    for group, kind, names in (
        (("evaluate", "questions"), "files", questions),
        (("foundational",), "datasets", datasets),
    ):
        # Ids are made of the files' names.
        twice = [name for name, count in Counter(names).items() if count > 1]
        found += [(group, f"two {kind} are called `{name}`: rename one of them") for name in twice]
    price = recipe.teacher.price
    if recipe.generate.budget.cost is not None and not price.prompt and not price.completion:
        text = "`generate.budget.cost` needs `teacher.price: {prompt: …, completion: …}`, a million tokens'"
        found.append((("generate", "budget", "cost"), text))
    found += [(("judges", index), text) for index, text in judge_problems(recipe.judges)]
    earlier: list[str] = []
    for index, phase in enumerate(recipe.phases):
        place = ("phases", index)
        if phase.name in earlier:
            found.append(((*place, "name"), f"two phases are called `{phase.name}`"))
        if not phase.take and not phase.files and not phase.replay:
            found.append(((*place, "take"), f"phase `{phase.name}` takes nothing: no branch and no files"))
        for name in phase.replay:
            if name not in earlier:
                known = ", ".join(earlier) or "none"
                text = f"phase `{phase.name}` replays `{name}`, no earlier phase (those: {known})"
                found.append(((*place, "replay"), text))
        earlier.append(phase.name)
    return found


def plain(recipe: Recipe, base: Path | None = None) -> dict[str, Any]:
    """A recipe as plain values; with `base`, its paths are relative to that folder."""
    start = base.resolve() if base is not None else None

    def walk(value: object) -> Any:
        if isinstance(value, Path) or (isinstance(value, str) and value.startswith("/")):
            return str(value) if start is None else os.path.relpath(value, start)
        if isinstance(value, Mapping):
            return {key: walk(item) for key, item in value.items()}
        if isinstance(value, tuple | list):
            return [walk(item) for item in value]
        return value

    data: dict[str, Any] = walk(recipe.model_dump())
    for group, key in (("teacher", "model"), ("student", "model")):
        value = getattr(getattr(recipe, group), key)
        if start is not None and value.startswith("/") and not data[group][key].startswith("."):
            # `models/x` could be read as a repository's name: `./models/x` cannot.
            data[group][key] = "./" + data[group][key]
    for judge in data["judges"] if start is not None else ():
        if judge["model"].endswith(".gguf") and not judge["model"].startswith("."):
            judge["model"] = "./" + judge["model"]
    # A prompt that begins with a slash is a text, and no path.
    data["generate"]["prompts"] = recipe.generate.model_dump()["prompts"]
    for entry, written in zip(recipe.foundational, data["foundational"], strict=True):
        if start is not None and isinstance(entry.path, Path) and not written["path"].startswith("."):
            written["path"] = "./" + written["path"]
    return data


def dump(recipe: Recipe, base: Path | None = None) -> str:
    """A recipe as YAML, every default written out.

    Args:
        recipe: The recipe.
        base: The folder that the file will stand in: paths become relative to it, so that a
            project can be moved with its runs; None: absolute paths.
    """
    return recipe_yaml.dump(plain(recipe, base), [OPENING])
