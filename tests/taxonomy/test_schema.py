"""The JSON Schema for editors says what the checks say, of valid and invalid leaves of every version."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from tests.taxonomy.leaves import LOCAL, knowledge, skill

from feldspar.taxonomy.checks import judge
from feldspar.taxonomy.compose import compose
from feldspar.taxonomy.problems import Findings
from feldspar.taxonomy.schema import json_schema

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "first-lab" / "taxonomy"
VALIDATOR = Draft202012Validator(json_schema())

SOUND = (
    *(skill(version) for version in (None, 1, 2, 3, 4)),
    skill(3).replace("seed_examples:\n", "seed_examples:\n  - question: Q\n    answer: A\n    context: C\n"),
    skill(4, 1, "license: CC-BY-4.0 OR MIT\nstyle: creative\n"),
    *(knowledge(version) for version in (1, 2, 3, 4)),
    knowledge(4, 1, 1, LOCAL, "license: Apache-2.0\n"),
    knowledge() + "        note: {a: 1}\n",
)
JUNK: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        1,
        2,
        3,
        4,
        5,
        3.0,
        4.0,
        3.5,
        "",
        " ",
        "x",
        "3",
        "precise",
        "MIT OR",
        "no licence",
    ),
    *([], {}, ["x"], ["x", "x"], ["x", " "], [["x"]], {"paths": ["x"]}, {"paths": []}, {"question": "x"}),
    *({"repo": "x", "commit": "y", "patterns": ["z"]}, {"paths": ["x"], "repo": "y"}),
)
KEYS = (
    *("version", "created_by", "task_description", "domain", "document_outline", "document", "license"),
    *("style", "seed_examples", "question", "answer", "context", "questions_and_answers", "repo", "patterns"),
    *("paths", "note"),
)


def errors(data: Any) -> list[str]:
    """The rules of the errors that the checks find in a file that says this."""
    found = Findings("qna.yaml")
    node = compose(yaml.safe_dump(data, allow_unicode=True), found)
    assert node is not None
    judge(node, None, found)
    return [problem.rule for problem in found.problems if problem.severity == "error"]


def holders(data: Any) -> Iterator[Any]:
    """Every mapping and list."""
    if isinstance(data, dict | list):
        yield data
        for value in list(data.values() if isinstance(data, dict) else data):
            yield from holders(value)


@st.composite
def leaves(draw: st.DrawFn) -> Any:
    """A sound leaf with up to three changes anywhere."""
    data = yaml.safe_load(draw(st.sampled_from(SOUND)))
    for _ in range(draw(st.integers(0, 3))):
        holder = draw(st.sampled_from(list(holders(data))))
        junk = copy.deepcopy(draw(st.sampled_from(JUNK)))
        if isinstance(holder, dict):
            there = draw(st.sampled_from(sorted(holder) + list(KEYS)))
            if draw(st.booleans()):
                holder.pop(there, None)
            else:
                holder[there] = junk
        elif not holder or draw(st.booleans()):
            holder.append(copy.deepcopy(draw(st.sampled_from([*holder, junk]))))
        else:
            del holder[draw(st.integers(0, len(holder) - 1)) :]
    return data


@settings(max_examples=600, deadline=None)
@given(leaves())
def test_the_schema_and_the_checks_agree(data: Any) -> None:
    told = [error.message for error in VALIDATOR.iter_errors(data)]
    assert bool(told) == bool(errors(data)), (data, told, errors(data))


@pytest.mark.parametrize("text", SOUND)
def test_what_is_sound(text: str) -> None:
    data = yaml.safe_load(text)
    deprecated = "document" in data and data["version"] < 3
    assert VALIDATOR.is_valid(data) == (errors(data) == []) == (not deprecated)


def test_the_leaves_of_the_first_project_are_valid() -> None:
    files = sorted(EXAMPLES.rglob("qna.yaml"))
    assert files
    for file in files:
        VALIDATOR.validate(yaml.safe_load(file.read_text(encoding="utf-8")))


def test_it_is_a_schema_that_tells_of_every_key() -> None:
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    assert json.loads(json.dumps(schema)) == schema
    assert json_schema() is not schema
    assert list(schema["$defs"]) == [*(f"skill-{n}" for n in (1, 2, 3, 4)), "knowledge-3", "knowledge-4"]

    def told(part: Any) -> None:
        for name, value in part.items() if isinstance(part, dict) else ():
            if name == "properties":
                for key, one in value.items():
                    # A condition names a value; all else says what it is.
                    assert "description" in one or one.keys() <= {"const", "enum"}, key
            told(value)

    told(schema)
    for version, keys in (("3", {"license", "style"}), ("4", set())):
        assert keys.isdisjoint(schema["$defs"][f"skill-{version}"]["properties"])
    assert {"license", "style"} <= set(schema["$defs"]["knowledge-4"]["properties"])


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        (skill(3).replace("task_description", "task_desciption"), [], "'task_desciption' was unexpected"),
        (skill(3, 4), ["seed_examples"], "is too short"),
        (skill(9), ["version"], "9 is not one of [1, 2, 3, 4]"),
        (knowledge(2), ["version"], "2 is not one of [3, 4]"),
        (knowledge(3, document=LOCAL), ["document"], "'paths' was unexpected"),
        (skill(3, extra="license: MIT\n"), [], "'license' was unexpected"),
    ],
)
def test_an_editor_is_told_of_the_mistake_alone(text: str, path: list[str], words: str) -> None:
    told = list(VALIDATOR.iter_errors(yaml.safe_load(text)))
    assert any(words in error.message and list(error.absolute_path) == path for error in told)
    # No branch but the one that the version and the kind name is held against the file.
    assert len(told) <= 4
