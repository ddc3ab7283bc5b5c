"""The phases of a recipe (§3.3, Tables 1 and 2), and the presets that stand for lists of them."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

from pydantic import BaseModel, Field

from feldspar import recipe_words, recipe_yaml
from feldspar.errors import RecipeError
from feldspar.recipe_fields import CONFIG, RecipePath, TakeText
from feldspar.types import Phase

PRESETS = ("laptop", "labradorite-13b", "merlinite-7b")
"""What `phases` can name: the values for a laptop, and the two columns of Table 2."""


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


@cache
def preset(name: str) -> tuple[PhaseSettings, ...]:
    """The phases of a preset (Table 2).

    Raises:
        RecipeError: There is none of this name.
    """
    return tuple(PhaseSettings.model_validate(recipe_yaml.frozen(item)) for item in _preset_values(name))


def spell_out(source: recipe_yaml.Source, *, always: bool = False) -> None:
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
