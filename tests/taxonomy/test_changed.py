"""`check --base`: which leaves differ from a revision, asked of real repositories, the hostile ones too."""

from __future__ import annotations

import inspect
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.taxonomy.leaves import knowledge, skill, write

from feldspar.errors import TaxonomyError
from feldspar.taxonomy.changed import changed_leaves

KEPT = ("PATH", "TMPDIR", "SYSTEMROOT")
ENVIRONMENT = {
    **{key: value for key, value in os.environ.items() if key in KEPT},
    **{f"GIT_{who}_{what}": "a@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "LC_ALL": "C",
}


def git(folder: Path, *words: str) -> str:
    """What git prints; the repository's own maker may use everything that git has."""
    command = ["git", "-c", "protocol.file.allow=always", *words]
    done = subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


def commit(folder: Path) -> str:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "x", "--allow-empty")
    return git(folder, "rev-parse", "HEAD")


def leaf_files(root: Path) -> list[Path]:
    return sorted(root.rglob("qna.yaml"))


def changed(root: Path, revision: str = "HEAD", *paths: Path) -> list[str]:
    """The leaves below a root that differ, by their folders."""
    differs = changed_leaves(paths or [root], revision)
    return sorted(file.parent.relative_to(root).as_posix() for file in leaf_files(root) if differs(file))


@pytest.fixture
def taxonomy(tmp_path: Path) -> Path:
    """A repository with leaves `a`, `b`, `c` and `c/inner`, all committed."""
    root = tmp_path / "taxonomy"
    for name in ("a", "b", "c", "c/inner"):
        write(root, name, skill())
        (root / name / "doc.md").write_text(f"The text of {name}.\n")
        (root / name / "docs").mkdir()
        (root / name / "docs" / "more.md").write_text(f"More of {name}.\n")
    git(root, "init", "--quiet")
    commit(root)
    return root


def test_nothing_differs_from_what_is_checked_out(taxonomy: Path) -> None:
    assert changed(taxonomy) == []
    # Times alone are no difference.
    for file in leaf_files(taxonomy):
        os.utime(file, (1, 1))
    assert changed(taxonomy) == []


def test_a_change_is_found_be_it_committed_staged_or_neither(taxonomy: Path) -> None:
    base = commit(taxonomy)
    write(taxonomy, "a", skill(seeds=6))
    commit(taxonomy)
    write(taxonomy, "b", skill(seeds=6))
    git(taxonomy, "add", "b")
    write(taxonomy, "c", skill(seeds=6))
    assert changed(taxonomy, base) == ["a", "b", "c"]
    assert changed(taxonomy, "HEAD") == ["b", "c"]


@pytest.mark.parametrize("name", ["qna.yaml", "attribution.txt", "doc.md", "docs/more.md", "docs/new.md"])
def test_each_file_of_a_leaf_counts(taxonomy: Path, name: str) -> None:
    (taxonomy / "b" / name).write_text(skill(seeds=6))
    assert changed(taxonomy) == ["b"]


@pytest.mark.parametrize("name", ["attribution.txt", "doc.md", "docs/more.md"])
@pytest.mark.parametrize("committed", [False, True])
def test_a_file_that_is_gone_counts(taxonomy: Path, name: str, committed: bool) -> None:
    base = commit(taxonomy)
    (taxonomy / "b" / name).unlink()
    if committed:
        commit(taxonomy)
    assert changed(taxonomy, base) == ["b"]


def test_a_file_belongs_to_the_nearest_leaf(taxonomy: Path) -> None:
    (taxonomy / "c" / "inner" / "docs" / "more.md").write_text("Other.\n")
    assert changed(taxonomy) == ["c/inner"]
    (taxonomy / "c" / "docs" / "more.md").write_text("Other.\n")
    assert changed(taxonomy) == ["c", "c/inner"]


def test_new_leaves_count_unless_they_are_ignored(taxonomy: Path) -> None:
    (taxonomy / ".gitignore").write_text("build/\n")
    write(taxonomy, "new", skill())
    write(taxonomy, "build/old", skill())
    write(taxonomy, "intended", skill())
    git(taxonomy, "add", "--intent-to-add", "intended/qna.yaml")
    assert changed(taxonomy) == ["intended", "new"]


def test_a_renamed_leaf_counts_and_a_removed_one_needs_no_check(taxonomy: Path) -> None:
    git(taxonomy, "mv", "a", "z")
    shutil.rmtree(taxonomy / "b")
    assert changed(taxonomy) == ["z"]
    base = git(taxonomy, "rev-parse", "HEAD")
    commit(taxonomy)
    assert changed(taxonomy, base) == ["z"]
    # What lies beside it after a leaf is gone belongs to the leaf above.
    (taxonomy / "c" / "inner" / "qna.yaml").unlink()
    assert changed(taxonomy) == ["c"]


def test_names_of_all_kinds(taxonomy: Path) -> None:
    names = ["with space", "line\nbreak", "löß", "*", ":(top)x", '"quoted"', "-dash", os.fsdecode(b"\xff")]
    for name in names:
        write(taxonomy, f"odd/{name}", skill())
    assert changed(taxonomy) == sorted(f"odd/{name}" for name in names)
    commit(taxonomy)
    assert changed(taxonomy) == []
    write(taxonomy, "odd/*", skill(seeds=6))
    write(taxonomy, "odd/line\nbreak", skill(seeds=6))
    assert changed(taxonomy) == sorted(["odd/*", "odd/line\nbreak"])


def test_a_folder_or_a_file_of_a_repository_can_be_given(taxonomy: Path) -> None:
    write(taxonomy, "a", skill(seeds=6))
    write(taxonomy, "c/inner", skill(seeds=6))
    differs = changed_leaves([taxonomy / "c", taxonomy / "b" / "qna.yaml"], "HEAD")
    assert differs(taxonomy / "c" / "inner" / "qna.yaml")
    assert not differs(taxonomy / "c" / "qna.yaml")
    assert not differs(taxonomy / "b" / "qna.yaml")
    differs = changed_leaves([taxonomy / "c", taxonomy / "a" / "qna.yaml"], "HEAD")
    assert differs(taxonomy / "a" / "qna.yaml")
    assert changed_leaves([taxonomy / "a" / "qna.yaml"], "HEAD")(taxonomy / "a" / "qna.yaml")


def test_a_path_can_be_relative_or_lead_through_a_link(
    taxonomy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(taxonomy, "a", skill(seeds=6))
    link = tmp_path / "link"
    link.symlink_to(taxonomy)
    assert changed(link) == ["a"]
    monkeypatch.chdir(taxonomy / "b")
    differs = changed_leaves([Path("../a")], "HEAD")
    assert differs(Path("../a/qna.yaml"))
    monkeypatch.chdir(taxonomy / "a")
    assert changed_leaves([Path("qna.yaml")], "HEAD")(Path("qna.yaml"))


def test_a_linked_file_differs_where_what_it_leads_to_does(taxonomy: Path) -> None:
    shared = taxonomy / "shared.txt"
    shared.write_text("License of the work: MIT\n")
    for name in ("a", "b"):
        (taxonomy / name / "attribution.txt").unlink()
        (taxonomy / name / "attribution.txt").symlink_to("../shared.txt")
    commit(taxonomy)
    assert changed(taxonomy) == []
    shared.write_text("License of the work: CC0-1.0\n")
    assert changed(taxonomy) == ["a", "b"]


def test_what_is_no_leaf_differs_by_itself(taxonomy: Path) -> None:
    old, new = taxonomy / "d" / "qna.yml", taxonomy / "e" / "qna.yml"
    old.parent.mkdir()
    old.write_text(knowledge())
    commit(taxonomy)
    new.parent.mkdir()
    new.write_text(knowledge())
    differs = changed_leaves([taxonomy], "HEAD")
    assert [differs(old), differs(new)] == [False, True]
    # Of a folder, what lies below it.
    assert [differs(old.parent), differs(new.parent), differs(taxonomy)] == [False, True, True]


@pytest.mark.parametrize("name", ["HEAD~1", "v1", "other", "v1^{tree}^", "HEAD@{1}"])
def test_whatever_names_a_commit_is_a_revision(taxonomy: Path, name: str) -> None:
    git(taxonomy, "tag", "--annotate", "--message", "x", "v1")
    git(taxonomy, "branch", "other")
    write(taxonomy, "a", skill(seeds=6))
    git(taxonomy, "add", "--all")
    git(taxonomy, "commit", "--quiet", "--message", "y")
    if name == "v1^{tree}^":
        with pytest.raises(TaxonomyError, match="no revision"):
            changed(taxonomy, name)
    else:
        assert changed(taxonomy, name) == ["a"]


@pytest.mark.parametrize(
    ("revision", "told"),
    [
        ("nope", "no revision 'nope'"),
        ("HEAD:a/qna.yaml", "no revision"),
        ("HEAD..HEAD", "no revision"),
        ("a\nb\x1b", r"no revision 'a\\nb\\x1b'"),
        ("", "names no revision"),
        ("--output=x", "'--output=x' is no revision"),
        ("-h", "'-h' is no revision"),
        ("f" * 40, "no revision"),
    ],
)
def test_what_is_no_revision_is_one_clear_line(taxonomy: Path, revision: str, told: str) -> None:
    with pytest.raises(TaxonomyError, match=told) as raised:
        changed(taxonomy, revision)
    assert "\n" not in raised.value.what
    assert raised.value.mend
    assert not (taxonomy / "x").exists()


def test_a_folder_outside_of_any_repository_is_named(taxonomy: Path, tmp_path: Path) -> None:
    write(tmp_path / "elsewhere", "a", skill())
    with pytest.raises(TaxonomyError, match="elsewhere is in no git repository"):
        changed(taxonomy, "HEAD", taxonomy, tmp_path / "elsewhere")


def test_a_repository_without_commits_is_named(tmp_path: Path) -> None:
    write(tmp_path, "a", skill())
    git(tmp_path, "init", "--quiet")
    with pytest.raises(TaxonomyError, match="it has no commit yet"):
        changed(tmp_path)


def test_what_is_missing_is_left_to_the_check(taxonomy: Path) -> None:
    for paths in ([taxonomy / "nowhere"], [taxonomy, taxonomy / "nowhere"]):
        assert changed_leaves(paths, "HEAD")(taxonomy / "nowhere")
    assert changed(taxonomy, "HEAD", taxonomy, taxonomy / "nowhere" / "qna.yaml") == []


def test_where_git_is_not_installed_that_is_said(taxonomy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(taxonomy))
    with pytest.raises(TaxonomyError, match="git") as raised:
        changed(taxonomy)
    assert raised.value.mend


def test_several_repositories_at_once(taxonomy: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    write(other, "x", skill())
    write(other, "y", skill())
    git(other, "init", "--quiet")
    commit(other)
    write(other, "y", skill(seeds=6))
    write(taxonomy, "b", skill(seeds=6))
    assert changed(tmp_path, "HEAD", taxonomy, other) == ["other/y", "taxonomy/b"]


def test_a_worktree_is_compared_by_itself(taxonomy: Path, tmp_path: Path) -> None:
    write(taxonomy, "a", skill(seeds=6))
    second = tmp_path / "second"
    git(taxonomy, "worktree", "add", "--quiet", str(second))
    write(second, "b", skill(seeds=6))
    assert changed(second) == ["b"]
    assert changed(taxonomy) == ["a"]


def test_a_shallow_clone_has_its_one_commit(taxonomy: Path, tmp_path: Path) -> None:
    base = commit(taxonomy)
    commit(taxonomy)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--depth", "1", taxonomy.as_uri(), str(clone))
    write(clone, "a", skill(seeds=6))
    assert changed(clone) == ["a"]
    with pytest.raises(TaxonomyError, match="no revision") as raised:
        changed(clone, base)
    assert "fetch" in raised.value.mend


@pytest.fixture
def with_module(taxonomy: Path, tmp_path: Path) -> Path:
    """The taxonomy with a submodule `module` of leaves `p` and `q`."""
    source = tmp_path / "source"
    for name in ("p", "q"):
        write(source, name, skill())
    git(source, "init", "--quiet")
    commit(source)
    git(taxonomy, "clone", "--quiet", str(source), "module")
    commit(taxonomy)
    return taxonomy


def test_a_submodule_as_git_makes_it(with_module: Path, tmp_path: Path) -> None:
    git(with_module, "submodule", "--quiet", "add", str(tmp_path / "source"), "second")
    assert (with_module / "second" / ".git").is_file()
    assert changed(with_module) == ["second/p", "second/q"]
    commit(with_module)
    assert changed(with_module) == []
    write(with_module / "second", "q", skill(seeds=6))
    assert changed(with_module) == ["second/q"]


def test_a_submodule_is_compared_with_the_commit_it_was_at(with_module: Path) -> None:
    base = git(with_module, "rev-parse", "HEAD")
    module = with_module / "module"
    assert changed(with_module) == []
    write(module, "p", skill(seeds=6))
    assert changed(with_module) == ["module/p"]
    commit(module)
    assert changed(with_module) == ["module/p"]
    commit(with_module)
    assert changed(with_module) == []
    assert changed(with_module, base) == ["module/p"]
    # Given by itself, the revision is one of its own.
    write(module, "q", skill(seeds=6))
    assert changed(module, "HEAD") == ["q"]
    assert changed(module, "HEAD~1") == ["p", "q"]


def test_a_new_submodule_and_a_repository_within_count_as_a_whole(with_module: Path) -> None:
    assert changed(with_module, "HEAD~1") == ["module/p", "module/q"]
    write(with_module, "nested/r", skill())
    git(with_module / "nested", "init", "--quiet")
    commit(with_module / "nested")
    assert changed(with_module) == ["nested/r"]
    (with_module / ".gitignore").write_text("nested/\n")
    assert changed(with_module) == []


def test_a_leaf_that_holds_a_submodule_always_counts(with_module: Path, tmp_path: Path) -> None:
    git(with_module, "clone", "--quiet", str(tmp_path / "source"), "a/texts")
    commit(with_module)
    assert changed(with_module) == ["a"]
    git(with_module, "rm", "--quiet", "--cached", "a/texts")
    shutil.rmtree(with_module / "a" / "texts")
    assert changed(with_module) == ["a"]


def hostile(repository: Path, marker: Path) -> None:
    """Whatever a repository's own configuration can name to be run."""
    script = repository / ".git" / "evil.sh"
    script.write_text(f'#!/bin/sh\necho "$0 $*" >>"{marker}"\ncat\n')
    script.chmod(0o755)
    hooks = repository / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for hook in ("post-index-change", "fsmonitor-watchman", "post-checkout", "reference-transaction"):
        shutil.copy(script, hooks / hook)
    (repository / ".git" / "info").mkdir(exist_ok=True)
    (repository / ".git" / "info" / "attributes").write_text("* filter=evil diff=evil\n")
    settings = {
        "core.fsmonitor": script,
        "core.hooksPath": hooks,
        "core.sshCommand": script,
        "core.pager": script,
        "core.editor": script,
        "core.gitProxy": script,
        "core.alternateRefsCommand": script,
        "core.untrackedCache": "true",
        "pager.ls-files": script,
        "pager.diff-index": script,
        "diff.external": script,
        "diff.evil.command": script,
        "diff.evil.textconv": script,
        "diff.relative": "true",
        "filter.evil.clean": script,
        "filter.evil.smudge": script,
        "filter.evil.process": script,
        "filter.evil.required": "true",
        "alias.ls-files": f"!{script}",
        "alias.rev-parse": f"!{script}",
        "credential.helper": f"!{script}",
        "gpg.program": script,
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": f"ext::sh -c {script}",
        "remote.origin.uploadpack": script,
        "remote.origin.vcs": "ext",
        "protocol.allow": "always",
        "protocol.ext.allow": "always",
    }
    git(repository, "config", "core.repositoryFormatVersion", "1")
    for key, value in settings.items():
        with (repository / ".git" / "config").open("a") as file:
            section, _, name = key.rpartition(".")
            first, _, sub = section.partition(".")
            file.write(f'[{first}{f" {chr(34)}{sub}{chr(34)}" if sub else ""}]\n\t{name} = "{value}"\n')


@pytest.mark.parametrize("url", ["ext", "file"])
def test_a_hostile_repository_runs_nothing(taxonomy: Path, tmp_path: Path, url: str) -> None:
    marker = tmp_path / "ran"
    hostile(taxonomy, marker)
    if url == "file":
        with (taxonomy / ".git" / "config").open("a") as file:
            file.write(f'[remote "origin"]\n\turl = {tmp_path.as_uri()}\n\tvcs =\n')
    index = (taxonomy / ".git" / "index").read_bytes()
    for file in leaf_files(taxonomy):
        os.utime(file, (1, 1))
    write(taxonomy, "a", skill(seeds=6))
    assert changed(taxonomy) == ["a"]
    # An object that is not there is asked of nobody.
    head = git(taxonomy, "rev-parse", "HEAD^{tree}") if not marker.exists() else ""
    shutil.rmtree(taxonomy / ".git" / "objects" / head[:2])
    with pytest.raises(TaxonomyError):
        changed(taxonomy)
    with pytest.raises(TaxonomyError):
        changed(taxonomy, "0" * 39 + "1")
    assert not marker.exists(), marker.read_text()
    assert (taxonomy / ".git" / "index").read_bytes() == index


def test_a_hostile_repository_within_runs_nothing(with_module: Path, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    module = with_module / "module"
    hostile(module, marker)
    for file in leaf_files(module):
        os.utime(file, (1, 1))
    write(module, "q", skill(seeds=6))
    assert changed(with_module) == ["module/q"]
    assert not marker.exists(), marker.read_text()


@pytest.mark.parametrize("name", ["a=b", "a\tb", "x$(touch y)", "a.b.clean"])
def test_a_filter_of_any_name_runs_nothing(taxonomy: Path, tmp_path: Path, name: str) -> None:
    marker = tmp_path / "ran"
    attributed = name if name == "a.b.clean" else "odd"
    (taxonomy / ".git" / "info" / "attributes").write_text(f"* filter={attributed}\n")
    with (taxonomy / ".git" / "config").open("a") as file:
        for each in (name, attributed):
            file.write(f'[filter "{each}"]\n\tclean = touch {marker}\n\trequired = true\n')
    os.utime(taxonomy / "a" / "qna.yaml", (1, 1))
    if name == "a=b":
        with pytest.raises(TaxonomyError, match="cannot be compared"):
            changed(taxonomy)
    else:
        assert changed(taxonomy) == []
    assert not marker.exists()


@pytest.mark.parametrize("damage", ["gitdir: /nowhere\n", "", "\0\0"])
def test_a_damaged_repository_is_named(tmp_path: Path, damage: str) -> None:
    write(tmp_path, "a", skill())
    (tmp_path / ".git").write_text(damage)
    with pytest.raises(TaxonomyError, match="cannot be compared") as raised:
        changed(tmp_path)
    assert len(raised.value.what) < 1000


def test_what_only_looks_like_a_repository_within_counts_as_a_whole(taxonomy: Path) -> None:
    head = git(taxonomy, "rev-parse", "HEAD")
    git(taxonomy, "update-index", "--add", "--cacheinfo", f"160000,{head},fake")
    git(taxonomy, "commit", "--quiet", "--message", "x")
    write(taxonomy, "fake/p", skill())
    (taxonomy / "fake" / ".git").mkdir()
    assert changed(taxonomy) == ["fake/p"]


def test_many_repositories_within_end(taxonomy: Path) -> None:
    folder = taxonomy
    for _ in range(300):
        folder = folder / "n"
        folder.mkdir()
        (folder / ".git").write_text("gitdir: /nowhere\n")
    differs = changed_leaves([taxonomy], "HEAD")
    deep = write(folder, "deep", skill())
    before = sys.getrecursionlimit()
    # As if there were thousands of them, which no test could remove again.
    sys.setrecursionlimit(len(inspect.stack()) + 200)
    try:
        assert differs(deep)
    finally:
        sys.setrecursionlimit(before)
