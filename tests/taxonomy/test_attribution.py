from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feldspar import jsonl
from feldspar.spdx import spdx
from feldspar.taxonomy.attribution import MAX_BYTES, MAX_WORKS, attribution, licence_of, read_attribution
from feldspar.taxonomy.licences import Gate, rule
from feldspar.taxonomy.problems import Findings, Problem
from feldspar.types import Leaf, Work

FULL = """\
Title of work: The cormorants of Orrin
Link to work: https://orrin.example.org/wiki/Cormorants_(birds)
Revision: https://orrin.example.org/w?title=Cormorants&oldid=17
License of the work: CC-BY-SA-4.0
Creator names: Edda Corve, Ian Marsh
"""
CORMORANTS = Work(
    "The cormorants of Orrin",
    "https://orrin.example.org/wiki/Cormorants_(birds)",
    "https://orrin.example.org/w?title=Cormorants&oldid=17",
    "CC-BY-SA-4.0",
    "Edda Corve, Ian Marsh",
)


@pytest.mark.parametrize(
    "text",
    [
        FULL,
        FULL.rstrip(),
        FULL.replace("\n", "\r\n"),
        FULL.replace("\n", "  \n\n"),
        FULL.replace("\n", "\n    "),
        "\ufeff# Attribution\n\nThis leaf is taken from:\n\n" + FULL,
        FULL.replace("License", "Licence"),
        FULL.replace("CC-BY-SA-4.0", "CC BY-SA 4.0"),
        FULL.replace("CC-BY-SA-4.0", "[CC BY-SA 4.0](https://creativecommons.org/licenses/by-sa/4.0/)"),
        FULL.replace("Title of work", "title of the work").replace("Creator names", "creators"),
        FULL.replace("Title of work", "Title").replace("License of the work", "License"),
        FULL.replace("Title of work", "TITLE OF WORK").replace("Creator names", "CREATOR NAMES"),
        FULL.replace("Link to work", "URL").replace("Creator names", "Author"),
        FULL.replace("Link to work", "Source").replace("Creator names", "Authors"),
        FULL.replace("Link to work", "Link to the work").replace("Creator names", "Author(s)"),
        FULL.replace("License of the work", "License of work").replace("Creator names", "Creator name"),
        FULL.replace("License of the work", "SPDX-License-Identifier"),
        FULL.replace("License of the work", "license"),
        FULL.replace(": ", ":"),
        FULL.replace(": ", " : "),
        FULL.replace(": ", ":\t"),
        FULL.replace(": ", "："),
        FULL.replace(": ", " = "),
        FULL.replace("Title of work: ", "Title - ").replace("Creator names: ", "Creators – "),
        FULL.replace(": ", ":\n  "),
        FULL.replace(": ", ":\n\n"),
        "".join(f"- {line}\n" for line in FULL.splitlines()),
        "".join(f"* **{line.replace(': ', ':** ')}\n" for line in FULL.splitlines()),
        "".join(f"**{line.replace(': ', '**: ')}\n" for line in FULL.splitlines()),
        "".join(f"{n}. {line}\n" for n, line in enumerate(FULL.splitlines(), 1)),
        "".join(f"> {line}\n" for line in FULL.splitlines()),
        "".join(f'"{line.replace(": ", chr(34) + ": " + chr(34))}",\n' for line in FULL.splitlines()),
        FULL + "Note: the pictures are left out\n",
        FULL.replace("Revision", "Retrieved: in May\nRevision"),
        FULL.replace("Edda Corve, Ian", "\n- Edda Corve, Ian"),
        FULL.replace("cormorants of", "cormorants\n of"),
        FULL + "-----\n",
        "\n".join(reversed(FULL.splitlines())),
        FULL.replace("License of the work:", "License of the work: CC BY-SA\nLicense URL: https://")
        .replace("https:// CC-BY-SA-4.0", "https://creativecommons.org/licenses/by-sa/4.0/"),
    ],
)  # fmt: skip
def test_a_work_is_read_however_it_is_written(text: str) -> None:
    (work,) = read_attribution(text)
    if work.licence == "LicenseRef-CC-BY-SA AND CC-BY-SA-4.0":  # the name and its address, both kept
        work = Work(work.title, work.link, work.revision, "CC-BY-SA-4.0", work.creators)
    assert work == CORMORANTS


def test_other_languages() -> None:
    german = "Titel: Kormorane\nLink: https://x.example.org\nLizenz: CC BY 4.0\nAutoren: E. Corve"
    assert read_attribution(german) == (
        Work("Kormorane", "https://x.example.org", "", "CC-BY-4.0", "E. Corve"),
    )
    (french,) = read_attribution("Titre : Cormorans\nLicence\u00a0: Licence Ouverte 2.0\nAuteur : E. Corve")
    assert french == Work("Cormorans", licence="etalab-2.0", creators="E. Corve")


SECOND = "Title of work: Tarn\nLink to work: -\nLicense of the work: MIT\nCreator names: somebody\n"


@pytest.mark.parametrize("between", ["", "\n", "\n\n\n", "---\n", "Another one, from the island of Tarn\n\n"])
def test_a_key_that_comes_again_begins_the_next_work(between: str) -> None:
    works = read_attribution(FULL + between + SECOND)
    if between.startswith("Another"):
        assert works[0].creators == "Edda Corve, Ian Marsh; Another one, from the island of Tarn"
    else:
        assert works[0] == CORMORANTS
    assert works[1] == Work("Tarn", "", "", "MIT", "somebody")
    assert licence_of(works) == "CC-BY-SA-4.0 AND MIT"


def test_several_values_of_one_work_belong_together() -> None:
    text = (
        "Title: Tarn\nLink: https://a.example.org\nLink: https://b.example.org\n"
        "License: CC BY-SA 3.0\nLicense: GFDL\nCreators:\n- A\n- B, the second\n"
    )
    (work,) = read_attribution(text)
    assert work.link == "https://a.example.org; https://b.example.org"
    assert work.licence == "CC-BY-SA-3.0 AND GFDL-1.1-or-later"
    assert work.creators == "A; B, the second"


def test_a_file_that_is_a_licence_and_nothing_else() -> None:
    assert read_attribution(" CC BY-SA 4.0\n\n") == (Work(licence="CC-BY-SA-4.0"),)
    assert read_attribution("https://creativecommons.org/licenses/by/4.0/") == (Work(licence="CC-BY-4.0"),)
    assert read_attribution("Written for these tests.\n") == ()
    assert read_attribution("Title of work:\nCreator names: -\n") == ()


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        (SECOND, "MIT"),
        (SECOND + SECOND, "MIT"),
        (FULL + SECOND.replace("MIT", "MIT or Zlib") + SECOND, "CC-BY-SA-4.0 AND (MIT OR Zlib) AND MIT"),
        # What one work leaves open stays open for the leaf.
        (FULL + SECOND.replace("MIT", ""), "CC-BY-SA-4.0; not said"),
        (FULL + SECOND.replace("MIT", "ask me"), "CC-BY-SA-4.0; ask me"),
        (
            FULL + SECOND.replace("MIT", "MIT\nexcept for the drawings"),
            "CC-BY-SA-4.0; MIT; except for the drawings",
        ),
        (SECOND.replace("License of the work: MIT\n", ""), ""),
        ("", ""),
    ],
)
def test_the_licence_of_a_leaf_is_that_of_all_its_works(text: str, licence: str) -> None:
    found = licence_of(read_attribution(text))
    assert found == licence
    assert spdx(found) == ("" if ";" in licence else licence)
    assert (rule(found, Gate()).verdict == "allowed") == (bool(licence) and ";" not in licence)


def read(folder: Path, data: bytes | None) -> tuple[tuple[Work, ...], list[Problem]]:
    if data is not None:
        (folder / "attribution.txt").write_bytes(data)
    found = Findings("qna.yaml")
    return attribution(str(folder), folder, found), found.problems


def test_a_missing_file_warns_and_one_of_another_name_is_pointed_at(tmp_path: Path) -> None:
    works, (problem,) = read(tmp_path, None)
    assert (works, problem.rule, problem.severity) == ((), "attribution", "warning")
    assert problem.message == "no attribution.txt beside it"
    assert "title, link, licence and creators" in problem.mend
    (tmp_path / "Attribution.md").write_text(FULL)
    _, (problem,) = read(tmp_path, None)
    assert "rename Attribution.md to attribution.txt" in problem.mend


def test_files_that_cannot_be_read_warn(tmp_path: Path) -> None:
    path = tmp_path / "attribution.txt"
    path.mkdir()
    works, (problem,) = read(tmp_path, None)
    assert (works, problem.message) == ((), "attribution.txt is a folder")
    path.rmdir()
    path.symlink_to(__file__)
    works, (problem,) = read(tmp_path, None)
    assert "leads out of" in problem.message
    path.unlink()
    works, (problem,) = read(tmp_path, FULL.encode() + b" " * MAX_BYTES)
    assert (works, "more than the 200,000" in problem.message) == ((), True)
    # Of too many none is taken: the one that is left out could be the one that is not free.
    works, (problem,) = read(tmp_path, SECOND.encode() * (MAX_WORKS + 1))
    assert (works, problem.message) == ((), "attribution.txt names more than 200 works: none of them is read")
    assert len(read(tmp_path, SECOND.encode() * MAX_WORKS)[0]) == MAX_WORKS


def test_a_licence_that_cannot_be_told_warns(tmp_path: Path) -> None:
    works, (problem,) = read(tmp_path, (FULL + SECOND.replace("MIT", "as\tyou like")).encode())
    assert len(works) == 2
    assert (problem.rule, problem.severity) == ("licence", "warning")
    assert problem.message == "attribution.txt names a licence that cannot be told: “as you like”"
    assert read(tmp_path, FULL.encode()) == ((CORMORANTS,), [])


@pytest.mark.parametrize(
    ("encoding", "said"), [("utf-8-sig", ""), ("utf-16", "UTF-16"), ("cp1252", "Windows-1252")]
)
def test_other_encodings_are_read_and_said(tmp_path: Path, encoding: str, said: str) -> None:
    works, problems = read(tmp_path, FULL.replace("Edda", "Éda").encode(encoding))
    assert works[0].creators == "Éda Corve, Ian Marsh"
    assert [problem.message for problem in problems] == (
        [f"attribution.txt is not UTF-8: read as {said}"] if said else []
    )


LINES = st.sampled_from(
    [*FULL.splitlines(), *SECOND.splitlines(), "", "  ", "---", "x: y", "License:", "- a", "*" * 9]
)


@settings(deadline=None)
@given(st.text() | st.lists(LINES | st.text(max_size=30), max_size=20).map("\n".join))
def test_any_text_gives_works_that_can_be_kept(text: str) -> None:
    works = read_attribution(text)
    for work in works:
        for value in (work.title, work.link, work.revision, work.licence, work.creators):
            assert len(value) <= 1_000
            assert value == "" or value.isprintable()
    leaf = Leaf("knowledge/x", "knowledge", "x", (), works=works)
    assert jsonl.from_json(Leaf, jsonl.to_json(leaf)) == leaf


@pytest.mark.parametrize(
    "text",
    ["*" * MAX_BYTES, " " * MAX_BYTES, "- " * 100_000, "\n" * MAX_BYTES, "License" + " " * MAX_BYTES,
     "a " * 100_000, ("A" * 40 + "\n") * 4_800, "License:\n" * 22_000, "Title: " + "_" * 190_000],
)  # fmt: skip
def test_a_hostile_file_costs_no_time(text: str) -> None:
    started = time.perf_counter()
    read_attribution(text)
    assert time.perf_counter() - started < 3
