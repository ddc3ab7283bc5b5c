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
from functools import cache
from importlib import resources
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
    TakeText,
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
from feldspar.types import Phase

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

PRESETS = ("laptop", "labradorite-13b", "merlinite-7b")
"""What `phases` can name: the values for a laptop, and the two columns of Table 2."""


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


class PhaseSettings(BaseModel):
    """One row of Tables 1 and 2."""

    model_config = CONFIG
    # The name becomes the name of files.
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")
    take: tuple[TakeText, ...]
    replay: tuple[str, ...] = ()
    replay_fraction: float = Field(1.0, ge=0, le=1)
    learning_rate: float = Field(2e-5, gt=0, le=1)
    warmup_steps: int = Field(0, ge=0)
    batch_size: int = Field(3840, ge=1)
    epochs: int = Field(1, ge=1, le=10_000)
    context_length: int = Field(2048, ge=16)
    samples: int | None = Field(None, ge=1)
    files: tuple[RecipePath, ...] = ()

    def phase(self) -> Phase:
        """The noun that `mix` and `train` work with."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return Phase(**{**values, "files": tuple(str(path) for path in self.files)})


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


@cache
def preset(name: str) -> tuple[PhaseSettings, ...]:
    """The phases of a preset (Table 2).

    Raises:
        RecipeError: There is none of this name.
    """
    return tuple(PhaseSettings.model_validate(recipe_yaml.frozen(item)) for item in _preset_values(name))


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
        _spell_out(source, always=True)
    for setting in sets:
        recipe_yaml.assign(source, setting)
    _spell_out(source)
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


def _spell_out(source: recipe_yaml.Source, *, always: bool = False) -> None:
    """Put a preset's list where its name stands; with `always`, where nothing stands too."""
    named = source.data.get("phases")
    if named is None and always:
        named = "laptop"
    if not isinstance(named, str):
        return
    try:
        source.data["phases"] = _preset_values(named)
    except RecipeError as error:
        source.problems.append(f"{source.where(('phases',))}: {error.what}")
        del source.data["phases"]


def _preset_values(name: str) -> list[Any]:
    if name not in PRESETS:
        hint = recipe_words.nearest(name, PRESETS)
        raise RecipeError(f"`{name}` is no preset of phases: " + (hint or f"there are {', '.join(PRESETS)}"))
    text = resources.files("feldspar").joinpath("presets", f"{name}.yaml").read_text(encoding="utf-8")
    # The parser takes mappings, as every recipe is one.
    indented = "phases:\n" + "".join(f"  {line}\n" for line in text.splitlines())
    phases: list[Any] = recipe_yaml.parse(indented, name).data["phases"]
    return phases


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
