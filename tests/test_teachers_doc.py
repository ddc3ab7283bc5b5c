"""docs/teachers.md keeps its word: its recipes load, its commands and links exist, its errors are ours."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from feldspar import lab, recipe
from feldspar.verbs import VERBS

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "teachers.md"
TEXT = PAGE.read_text(encoding="utf-8")
EXAMPLES = {path.name: path for path in sorted((ROOT / "examples" / "teachers").glob("*.yaml"))}
BLOCKS = re.findall(r"(?ms)^```(\w*)\n(.*?)^```$", TEXT)
RECIPES = [text for kind, text in BLOCKS if kind == "yaml"]
SHELL = "\n".join(text for kind, text in BLOCKS if kind == "")


def name_of(block: str) -> str:
    """The example that a block shows, as its first line says."""
    return block.splitlines()[0].removeprefix("# ")


def test_every_example_is_shown_once() -> None:
    assert sorted(map(name_of, RECIPES)) == sorted(EXAMPLES)


@pytest.mark.parametrize("block", RECIPES, ids=name_of)
def test_every_recipe_on_the_page_loads_and_is_the_example(block: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(block, encoding="utf-8")
    shown, example = recipe.load(path), recipe.load(EXAMPLES[name_of(block)])
    assert (shown.teacher, shown.judges, shown.generate) == (
        example.teacher,
        example.judges,
        example.generate,
    )


@pytest.mark.parametrize("path", EXAMPLES.values(), ids=lambda path: path.stem)
def test_every_example_is_a_plan_without_a_server(path: Path) -> None:
    plan = lab.plan(recipe.load(path))
    assert recipe.load(path).teacher.endpoints
    assert "knowledge/islands/ondry" in str(plan)


@pytest.mark.parametrize("path", EXAMPLES.values(), ids=lambda path: path.stem)
def test_an_example_opens_with_the_command_that_serves_its_model(path: Path) -> None:
    if path.stem == "hosted":
        return
    text = path.read_text(encoding="utf-8")
    opening = text.split("\ntaxonomy:")[0]
    assert all(line.startswith("#") for line in opening.splitlines())
    models = (recipe.load(path).teacher, *recipe.load(path).judges)
    for shown, one in product((opening, SHELL), models):
        assert re.search(rf"{re.escape(one.model)}(?=\s|$)", shown), one.model
    ports = {urlsplit(url).port for one in models for url in one.endpoints}
    usual = {11434}  # Ollama's own, which no flag says
    assert ports <= usual | {int(port) for port in re.findall(r"--port (\d+)", opening)} | counted(opening)


def test_one_example_has_a_judge_with_a_price_of_its_own_and_a_budget() -> None:
    found = recipe.load(EXAMPLES["judge.yaml"])
    (judge,) = found.judges
    assert judge.price is not None
    assert set(judge.endpoints).isdisjoint(found.teacher.endpoints)
    assert found.generate.budget.cost is not None
    plan = lab.plan(found)
    assert plan.cost is not None
    assert plan.cost > 0
    assert plan.calibration.calls > 0
    assert f"judges: {judge.model}, prompts: default" in str(plan)
    section = TEXT.split("## A judge, a price, a budget")[1].split("\n## ")[0]
    for verb in ("plan examples/teachers/judge.yaml --pilot", "run examples", "rejudge runs/judged --set"):
        assert f"\nfeldspar {verb}" in section, verb


def counted(opening: str) -> set[int]:
    """The ports of a loop over GPUs."""
    gpus = re.search(r"for gpu in ([\d ]+);", opening)
    first = re.search(r"--port \$\(\((\d+) \+ gpu\)\)", opening)
    return {int(first[1]) + int(gpu) for gpu in gpus[1].split()} if gpus and first else set()


def test_the_commands_of_an_example_stand_on_the_page() -> None:
    on_page = " ".join(TEXT.replace("\\\n", " ").split())
    for path in EXAMPLES.values():
        opening = path.read_text(encoding="utf-8").split("\ntaxonomy:")[0]
        lines = re.sub(r"\\\n# +", "", opening).splitlines()
        for line in lines:
            command = " ".join(line.lstrip("# ").split())
            if re.match(r"(?:\w+=\S+ )*(?:vllm|llama-server|ollama|python3) ", command):
                assert command in on_page, command


def test_every_command_is_a_verb() -> None:
    used = set(re.findall(r"(?m)(?:^|`)feldspar (\w+)", TEXT))
    assert used
    assert used <= set(VERBS), used - set(VERBS)


def test_every_recipe_named_in_a_command_exists() -> None:
    named = re.findall(r"(?m)^feldspar \w+ (\S+\.yaml)", TEXT)
    assert named
    assert all((ROOT / path).is_file() for path in named)


def test_every_set_in_a_command_is_a_setting() -> None:
    sets = re.findall(r"--set (\S+)", TEXT)
    assert sets
    # The one with prices, which a budget needs.
    recipe.load(EXAMPLES["judge.yaml"], sets)


def test_every_setting_named_is_one() -> None:
    for group, key in re.findall(r"`(teacher|generate)\.(\w+)", TEXT):
        part = getattr(recipe.load(EXAMPLES["vllm.yaml"]), group)
        assert key in type(part).model_fields, f"{group}.{key}"


def test_every_link_resolves() -> None:
    headings = {
        re.sub(r"[^\w -]", "", line).strip().lower().replace(" ", "-")
        for line in re.findall(r"(?m)^#+ (.*)$", TEXT)
    }
    links = re.findall(r"\]\((?!http)([^)]*)\)", TEXT)
    assert links
    for link in links:
        path, _, anchor = link.partition("#")
        assert (PAGE.parent / path).exists(), link
        assert not anchor or anchor in headings, link


def test_every_error_that_is_explained_is_one_of_ours() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src" / "feldspar").rglob("*.py"))
    table = TEXT.split("## What goes wrong")[1]
    said = [
        words for row in re.findall(r"(?m)^\| (`.*?) \|", table) for words in re.findall(r"`([^`]+)`", row)
    ]
    assert len(said) > 6
    for words in said:
        assert words in code, words
