"""The README keeps its word: its help text is the real one, its files and commands exist."""

from __future__ import annotations

import re
from pathlib import Path

from feldspar.verbs import VERBS, help_text

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_help_text_is_what_feldspar_prints() -> None:
    assert help_text().rstrip("\n") in README


def test_every_command_is_a_verb() -> None:
    used = set(re.findall(r"(?m)^(?:\.venv/bin/)?feldspar (\w+)", README))
    assert used
    assert used <= set(VERBS), used - set(VERBS)


def test_every_make_target_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"(?m)^make (\w+)", README):
        assert re.search(rf"(?m)^{target}:", makefile), target


def test_every_link_and_every_file_of_the_tree_exists() -> None:
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / link).exists(), link
    tree = README.split("src/feldspar/\n")[1].split("```")[0]
    names = [
        name for line in tree.splitlines() for name in re.split(r",? +", line.strip().split("  ")[0]) if name
    ]
    assert len(names) > 10
    for name in names:
        assert (ROOT / "src" / "feldspar" / name).exists(), name


def test_the_leaf_in_the_readme_is_a_leaf(tmp_path: Path) -> None:
    from feldspar.taxonomy import check

    leaf = README.split("```yaml\n")[1].split("```")[0]
    folder = tmp_path / "knowledge" / "islands" / "ondry"
    folder.mkdir(parents=True)
    (folder / "qna.yaml").write_text(leaf, encoding="utf-8")
    (folder / "ondry.md").write_text(
        "The forest of Ondry is called Harwood, and it is made up almost entirely of alder trees.\n",
        encoding="utf-8",
    )
    (folder / "attribution.txt").write_text("License of the work: Apache-2.0\n", encoding="utf-8")
    assert check([tmp_path]) == ()
