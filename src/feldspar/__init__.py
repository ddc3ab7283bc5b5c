"""LAB, Large-scale Alignment for chatBots, end to end.

The flow, in order: `load` a recipe; `lab.run` carries it through the stages: a taxonomy is read into
leaves (§3.1, `feldspar.taxonomy`), a teacher (`feldspar.teacher`) turns leaves into samples (§3.2,
`feldspar.generate`), samples are mixed into phases with replay (Table 1, `feldspar.mix`), the
student is trained phase by phase (Table 2, `feldspar.train`), base and tuned are compared (§4,
`feldspar.evaluate`), and a page shows it all (`feldspar.report`).

    from pathlib import Path
    from feldspar import lab, load

    recipe = load(Path("my-lab/recipe.yaml"))
    print(lab.run(recipe, Path("runs/my-lab")))

The names below are imported on first use, so that `import feldspar` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from feldspar.errors import FeldsparError
    from feldspar.lab import Summary
    from feldspar.recipe import Recipe, load
    from feldspar.teacher import HttpTeacher, ScriptedTeacher, Teacher

__version__ = "0.1.0"

__all__ = [
    "FeldsparError",
    "HttpTeacher",
    "Recipe",
    "ScriptedTeacher",
    "Summary",
    "Teacher",
    "load",
]

_WHERE = {
    "FeldsparError": "errors",
    "HttpTeacher": "teacher",
    "Recipe": "recipe",
    "ScriptedTeacher": "teacher",
    "Summary": "lab",
    "Teacher": "teacher",
    "load": "recipe",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
