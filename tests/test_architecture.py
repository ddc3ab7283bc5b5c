"""The import rules of docs/design.md, and the sizes of files, over the whole of `src`."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parents[1] / "src"
FILES = sorted((SRC / "feldspar").rglob("*.py"))

BASE = {"types", "errors", "facts", "text", "jsonl", "events", "spdx"}
STAGES = {"taxonomy", "generate", "mix", "train", "evaluate", "report"}
RECIPE = {
    "recipe",
    "recipe_data",
    "recipe_fields",
    "recipe_generate",
    "recipe_parts",
    "recipe_phases",
    "recipe_words",
    "recipe_yaml",
}
TORCH = {"torch", "transformers", "safetensors", "accelerate"}

MAY_IMPORT: dict[str, set[str]] = {
    "types": set(),
    "errors": set(),
    "events": set(),
    "facts": {"text", "types"},
    "text": {"types"},
    "spdx": {"text"},
    "jsonl": {"errors", "types"},
    **dict.fromkeys(RECIPE, BASE | RECIPE),
    "run": BASE | RECIPE,
    "teacher": BASE,
    **dict.fromkeys(STAGES, BASE),
    "generate": BASE | {"teacher"},
    "evaluate": BASE | {"teacher"},
    "models": BASE | RECIPE | {"teacher"},
    "stages": BASE | RECIPE | STAGES | {"run", "models", "teacher"},
    "story": BASE | RECIPE | STAGES | {"run", "teacher", "models", "stages"},
    "planning": BASE | RECIPE | STAGES | {"teacher", "models", "stages", "story"},
    "piloting": BASE | RECIPE | STAGES | {"teacher", "models", "stages", "story", "progress"},
    "showing": BASE | RECIPE | STAGES | {"run", "teacher", "models", "stages", "story"},
    "lab": BASE | RECIPE | {"run", "stages", "story", "planning", "piloting", "showing"},
    "curate": BASE | {"taxonomy"},
    "progress": {"events", "text"},
    "project": BASE,
    "export": BASE | {"run"},
    "verbs": set(),
    "commands": BASE | RECIPE | {"curate", "lab", "progress", "project", "export", "verbs"},
    "cli": BASE | RECIPE | {"commands", "progress", "verbs"},
    "__main__": {"cli"},
}
"""Unit (a module or a package under feldspar) to the units that it may import, wherever it does."""

ONLY_IN = {
    **{name: {"train", "evaluate"} for name in TORCH},
    "lm_eval": {"evaluate"},
    "xllamacpp": {"teacher"},
    "aiohttp": {"teacher"},
    "license_expression": {"spdx"},
    "typer": {"commands"},
    "rich": {"progress"},
    "pickle": set(),
    "marshal": set(),
    "shelve": set(),
}
"""Packages from outside, and the only units that may import them."""


def module_of(path: Path) -> str:
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in FILES}


def unit(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def imports(module: str) -> Iterator[tuple[int, str]]:
    """Every import of a module, inside functions too: line and full name."""
    path = MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield node.lineno, inner if inner in MODULES else base


def inside(name: str) -> str | None:
    """The module of ours that an imported name means."""
    while name and name not in MODULES:
        name = name.rpartition(".")[0]
    return name or None


@pytest.mark.parametrize("module", [name for name in MODULES if unit(name)])
def test_imports_point_one_way(module: str) -> None:
    here = unit(module)
    assert here in MAY_IMPORT, f"say in MAY_IMPORT, and in docs/design.md, what feldspar.{here} may import"
    wrong = []
    for line, name in imports(module):
        target = inside(name)
        if target is None or not unit(target) or unit(target) == here:
            continue
        if unit(target) not in MAY_IMPORT[here]:
            wrong.append(f"{MODULES[module].relative_to(SRC)}:{line}: {here} may not import {target}")
    assert not wrong, "\n".join(wrong)


def test_packages_from_outside_stay_where_they_belong() -> None:
    wrong = []
    for module, path in MODULES.items():
        for line, name in imports(module):
            units = ONLY_IN.get(name.split(".")[0])
            if units is not None and unit(module) not in units:
                wrong.append(
                    f"{path.relative_to(SRC)}:{line}: {name} belongs in {sorted(units) or 'no file'}"
                )
    assert not wrong, "\n".join(wrong)


def test_no_import_cycle() -> None:
    graph: dict[str, set[str]] = {}
    for module in MODULES:
        found = {inside(name) for _, name in imports(module)}
        # The front of the whole package is imported with every module of it: no cycle by itself.
        graph[module] = {name for name in found if name and name not in (module, "feldspar")}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail("an import cycle: " + " <- ".join(error.args[1]))


def test_files_stay_short() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    long = [f"{path.relative_to(SRC)} has {count} lines" for path, count in lengths.items() if count > 400]
    assert not long, "\n".join([*long, "a file of more than 400 lines is two things: part it"])


def test_all_but_training_and_evaluation_imports_without_torch() -> None:
    """`check`, `plan`, `generate`, `mix` and `--help` work where torch is not installed."""
    modules = [name for name in MODULES if unit(name) not in ("train", "evaluate", "__main__")]
    program = f"""
import importlib, sys
sys.path.insert(0, {str(SRC)!r})
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {sorted(TORCH)!r}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
for name in {modules!r}:
    importlib.import_module(name)
from feldspar.cli import main
assert main(["--help"]) == 0
assert main(["check", "--help"]) == 0
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
