"""Problems as text, JSON, annotations and SARIF; no name and no message of a stranger breaks out of them."""

from __future__ import annotations

import ast
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feldspar.taxonomy import Problem
from feldspar.taxonomy.formats import Format, formatted, relative
from feldspar.taxonomy.problems import STYLE
from feldspar.taxonomy.rules import RULES

HERE = f"{os.sep}work{os.sep}place"
BLANK = Problem("knowledge/a/qna.yaml", 3, 7, "error", "blank", "`domain` is blank", "write a text")
CRLF = Problem("knowledge/b, c/qna.yaml", 1, 1, "warning", "new-lines", "CRLF: 100 %", "")

WILD = st.text(
    st.one_of(st.sampled_from(list("\r\n%:,#[]\\\"' \u2028\x1b\x85\0=;")), st.characters()), max_size=30
) | st.sampled_from(
    ["::error::x", "  ::warning file=a::b", "##[error]x", "%0A::add-mask::y", "\n::set-env::"]
)
WILD_PROBLEMS = st.lists(
    st.builds(
        Problem,
        WILD,
        st.integers(1, 99),
        st.integers(1, 99),
        st.sampled_from(["error", "warning"]),
        st.sampled_from([*sorted(RULES)[:3], "new-rule"]),
        WILD,
        WILD,
    ),
    max_size=4,
)


def commands(output: str) -> list[tuple[str, dict[str, str], str]]:
    """What GitHub's runner reads out of the lines of an output: name, properties, message."""
    found = []
    for line in re.split(r"\r\n|\r|\n", output):
        text = line.lstrip()
        end = text.find("::", 2) if text.startswith("::") else -1
        if end >= 0:
            name, _, rest = text[2:end].partition(" ")
            pairs = (pair.partition("=") for pair in rest.split(",") if pair)
            properties = {key.strip(): unescaped(value) for key, _, value in pairs}
            found.append((name, properties, unescaped(text[end + 2 :])))
        elif "##[" in line:
            found.append(("legacy", {}, line))
    return found


def unescaped(text: str) -> str:
    for letters, code in ((":", "%3A"), (",", "%2C"), ("\r", "%0D"), ("\n", "%0A"), ("%", "%25")):
        text = text.replace(code, letters)
    return text


def test_text_ends_with_the_count() -> None:
    assert formatted([BLANK, CRLF], "text", here=HERE) == (
        "knowledge/a/qna.yaml:3:7: error: `domain` is blank [blank]\n    write a text\n"
        "knowledge/b, c/qna.yaml:1:1: warning: CRLF: 100 % [new-lines]\n"
        "1 error, 1 warning"
    )
    assert formatted([], "text", here=HERE) == "0 errors, 0 warnings"
    assert formatted([], "text", here=HERE, count=False) == ""


def test_json_keeps_its_shape() -> None:
    assert json.loads(formatted([BLANK], "json", here=HERE)) == {
        "problems": [
            {
                "file": "knowledge/a/qna.yaml",
                "line": 3,
                "column": 7,
                "severity": "error",
                "rule": "blank",
                "message": "`domain` is blank",
                "mend": "write a text",
            }
        ]
    }


def test_github_puts_each_problem_beside_its_line() -> None:
    output = formatted([BLANK, CRLF], "github", here=HERE)
    assert output.splitlines() == [
        "::error file=knowledge/a/qna.yaml,line=3,col=7,title=blank::`domain` is blank%0Awrite a text",
        "::warning file=knowledge/b%2C c/qna.yaml,line=1,col=1,title=new-lines::CRLF: 100 %25",
        "1 error, 1 warning",
    ]


def test_sarif_has_what_its_schema_asks_for() -> None:
    log = json.loads(formatted([BLANK, CRLF, BLANK], "sarif", here=HERE, version="1.2"))
    check_sarif(log)
    (run,) = log["runs"]
    assert run["tool"]["driver"]["version"] == "1.2"
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["blank", "new-lines"]
    assert [result["ruleIndex"] for result in run["results"]] == [0, 1, 0]
    place = run["results"][1]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "knowledge/b%2C%20c/qna.yaml", "uriBaseId": "%SRCROOT%"}
    assert place["region"] == {"startLine": 1, "startColumn": 1}
    assert run["results"][0]["message"]["text"] == "`domain` is blank\nwrite a text"


def check_sarif(log: dict[str, Any]) -> None:
    """What SARIF 2.1.0's schema requires of the parts that are used, and forbids beside them."""
    assert set(log) == {"$schema", "version", "runs"}
    assert log["version"] == "2.1.0"
    for run in log["runs"]:
        assert set(run) == {"tool", "columnKind", "results"}
        assert run["columnKind"] in ("utf16CodeUnits", "unicodeCodePoints")
        driver = run["tool"]["driver"]
        assert driver["name"]
        assert len({rule["id"] for rule in driver["rules"]}) == len(driver["rules"])
        for rule in driver["rules"]:
            assert rule["shortDescription"]["text"]
            assert rule["help"]["text"]
        for result in run["results"]:
            assert result["level"] in ("none", "note", "warning", "error")
            assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
            assert isinstance(result["message"]["text"], str)
            for location in result["locations"]:
                place = location["physicalLocation"]
                uri = place["artifactLocation"]["uri"]
                assert re.fullmatch(r"(?:[A-Za-z0-9._~/-]|%[0-9A-F]{2}|^file://)*", uri), uri
                assert place["region"]["startLine"] >= 1
                assert place["region"]["startColumn"] >= 1


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("a/qna.yaml", "a/qna.yaml"),
        ("./a//b/../qna.yaml", "a/qna.yaml"),
        (f"{HERE}/a/qna.yaml", "a/qna.yaml"),
        ("../qna.yaml", "/work/qna.yaml"),
        ("..", "/work"),
        ("/else/qna.yaml", "/else/qna.yaml"),
        ("..a/qna.yaml", "..a/qna.yaml"),
    ],
)
def test_files_are_told_from_the_working_directory(file: str, expected: str) -> None:
    assert relative(file, HERE) == expected


def test_a_file_elsewhere_is_a_whole_address_in_sarif() -> None:
    problem = Problem("/else/ä b:c/qna.yaml", 1, 1, "error", "blank", "m", "")
    (run,) = json.loads(formatted([problem], "sarif", here=HERE))["runs"]
    place = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert place == {"uri": "file:///else/%C3%A4%20b%3Ac/qna.yaml"}
    assert unquote(place["uri"]) == "file:///else/ä b:c/qna.yaml"


@given(WILD_PROBLEMS)
def test_no_name_and_no_message_brings_a_command_along(problems: list[Problem]) -> None:
    for form in ("text", "json", "sarif"):
        assert commands(formatted(problems, form, here=HERE)) == [], form
    told = commands(formatted(problems, "github", here=HERE))
    assert [name for name, _, _ in told] == [problem.severity for problem in problems]
    for (_, properties, _), problem in zip(told, problems, strict=True):
        assert list(properties) == ["file", "line", "col", "title"]
        assert properties["line"] == str(problem.line)


def test_half_of_a_letter_is_written_as_json_writes_it() -> None:
    problem = Problem("a\ud800", 1, 1, "error", "blank", "m\udfff", "")
    for form in ("json", "sarif"):
        assert r"m\udfff" in formatted([problem], form, here=HERE).encode().decode()


@given(WILD_PROBLEMS)
def test_json_and_sarif_are_json_whatever_is_in_them(problems: list[Problem]) -> None:
    data = json.loads(formatted(problems, "json", here=HERE).encode())
    assert [entry["file"] for entry in data["problems"]] == [problem.file for problem in problems]
    assert [entry["message"] for entry in data["problems"]] == [problem.message for problem in problems]
    check_sarif(json.loads(formatted(problems, "sarif", here=HERE).encode()))


@given(WILD_PROBLEMS, st.sampled_from(get_args(Format)))
def test_nothing_moves_the_cursor(problems: list[Problem], form: Format) -> None:
    lines = formatted(problems, form, here=HERE).split("\n")
    if form == "text":
        assert len(lines) == sum(2 if problem.mend else 1 for problem in problems) + 1
    if form in ("text", "github"):
        assert all(line.isprintable() for line in lines)


def rules_in(path: Path) -> Iterator[str]:
    """The rules that a module notes problems by, where they are written out."""
    at = {"error": 1, "warn": 1, "note": 2}
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in at:
            rule = node.args[at[node.func.attr] :][:1]
            if rule and isinstance(rule[0], ast.Constant) and isinstance(rule[0].value, str):
                yield rule[0].value


def test_every_rule_is_described() -> None:
    folder = Path(__file__).parents[2] / "src" / "feldspar" / "taxonomy"
    named = {rule for path in folder.glob("*.py") for rule in rules_in(path)} | STYLE
    assert len(named) > 30
    assert not named - set(RULES), f"say in taxonomy/rules.py what these ask: {sorted(named - set(RULES))}"
    for rule, (wrong, mend) in RULES.items():
        assert re.fullmatch(r"[a-z][a-z-]+", rule)
        assert wrong.endswith("."), rule
        assert mend.endswith("."), rule
