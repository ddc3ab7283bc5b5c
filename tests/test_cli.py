from __future__ import annotations

import errno
import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

import feldspar
from feldspar import cli, jsonl
from feldspar.types import Message, Origin, Sample
from feldspar.verbs import VERBS

SRC = Path(__file__).resolve().parents[1] / "src"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(SRC)}


def feldspar_process(*words: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "feldspar", *words]
    return subprocess.run(command, env=ENVIRONMENT, text=True, timeout=60, **options)  # type: ignore[call-overload,no-any-return]


@contextmanager
def lab_that(raises: BaseException, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A `lab` whose `run` ends badly: what `cli` makes of it is what these tests are about."""

    def run(*_: object, **__: object) -> None:
        raise raises

    lab = ModuleType("feldspar.lab")
    lab.run = run  # type: ignore[attr-defined]
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "feldspar.lab", lab)
        patch.setattr(feldspar, "lab", lab, raising=False)
        yield


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text("taxonomy: taxonomy/\n")
    return path


def test_help_is_quick_and_imports_nothing_slow() -> None:
    spent = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = feldspar_process("--help", capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == 0
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(spent) < 0.2
    program = (
        "import sys; from feldspar.cli import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=ENVIRONMENT, capture_output=True, text=True, timeout=60
    )
    assert not {"typer", "pydantic", "rich", "yaml", "torch", "asyncio"} & set(done.stderr.split())


def test_help_tells_the_truth_about_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    top = capsys.readouterr().out
    for name, verb in VERBS.items():
        assert verb.usage in top
        assert cli.main([name, "--help"]) == 0, name
        told = " ".join(capsys.readouterr().out.split())
        assert verb.help in f"{told[0].lower()}{told}".lower() or verb.help.lower() in told.lower()
        for word in verb.usage.replace("[", "").replace("]", "").split()[1:]:
            assert word.rstrip(".").split("|")[0] in told, f"{name}: {word}"
        assert "--quiet" in told
        assert ("--json" in told) == (name != "chat")
        assert ("--set" in told) == (
            name in ("plan", "generate", "mix", "train", "evaluate", "report", "run", "rejudge")
        )
        assert ("--redo" in told) == (name in ("generate", "mix", "train", "evaluate", "report", "run"))


def test_every_verb_of_the_parser_is_in_the_help() -> None:
    from feldspar.commands import app

    assert [command.name for command in app.registered_commands] == list(VERBS)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "usage: feldspar VERB"),
        (["trian"], "did you mean `train`?"),
        (["run"], "RECIPE"),
        (["run", "x.yaml"], "--out"),
        (["check"], "PATH"),
        (["check", "x", "--format", "xml"], "xml"),
        (["check", "x", "--json", "--format", "sarif"], "exclude each other"),
        (["check", "x", "--base"], "--base"),
        (["tree"], "PATH"),
        (["schema", "x"], "x"),
        (["mix", "run", "--colour"], "--colour"),
        (["plan", "recipe.yaml", "--pilot", "3"], "go together"),
        (["rejudge"], "RUN"),
        (["rejudge", "run", "--redo"], "--redo"),
        (["export", "run", "--to", "gguf", "--out", "x"], "gguf"),
    ],
)
def test_wrong_usage_is_2(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words) == 2
    captured = capsys.readouterr()
    assert told in captured.err
    assert captured.out == ""


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"feldspar {feldspar.__version__}\n"


def test_a_bad_recipe_is_a_line_and_1(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", str(recipe), "--out", "x", "--set", "teacher.modle=y", "--json"]) == 1
    captured = capsys.readouterr()
    assert "did you mean `teacher.model`?" in captured.err
    assert "Traceback" not in captured.err
    assert "did you mean" in json.loads(captured.out)["error"]["what"]


def test_a_run_that_is_none_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["mix", str(tmp_path)]) == 1
    assert "is no run" in capsys.readouterr().err


def test_an_interruption_says_what_is_done_and_how_to_go_on(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "my run"
    (out / "1-leaves").mkdir(parents=True)
    (out / "1-leaves" / "stage.json").write_text("{}")
    with lab_that(KeyboardInterrupt(), monkeypatch):
        assert cli.main(["run", str(recipe), "--out", str(out), "--redo"]) == 130
    told = capsys.readouterr().err
    assert "1-leaves" in told
    assert f"feldspar run {recipe} --out '{out}'\n" in told


def test_a_defect_is_one_line_and_its_traceback_is_kept(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    out.mkdir()
    with lab_that(KeyError("x\x1b[2J"), monkeypatch):
        assert cli.main(["run", str(recipe), "--out", str(out)]) == 1
    told = capsys.readouterr().err
    assert "a defect in Feldspar: KeyError" in told
    assert "Traceback (most" not in told
    assert "\x1b" not in told
    (kept,) = out.iterdir()
    assert str(kept) in told
    assert "Traceback (most" in kept.read_text()


def test_a_full_disk_is_no_defect(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with lab_that(OSError(errno.ENOSPC, "No space left on device", "a.jsonl"), monkeypatch):
        assert cli.main(["run", str(recipe), "--out", "x"]) == 1
    assert "the disk is full: a.jsonl" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_an_output_that_cannot_be_written_is_told() -> None:
    with open("/dev/full", "w") as full:
        done = feldspar_process("--help", stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert "the disk is full" in done.stderr
    assert "Exception" not in done.stderr


LONG = "n" * 300


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("/proc/x", "nothing can be made there"),
        ("/proc/x/y", "nothing can be made there"),
        ("a-file/x", "a-file is no folder"),
        ("a-file/x/y", "a-file is no folder"),
        (LONG, "name too long"),
        (f"{LONG}/x", "name too long"),
        ("a-link/x", "itself"),
    ],
)
@pytest.mark.parametrize(
    "words",
    [
        ["run", "recipe.yaml", "--quiet", "--out"],
        ["generate", "recipe.yaml", "--out"],
        ["plan", "recipe.yaml", "--pilot", "2", "--out"],
        ["schema", "--out"],
        ["export", "run", "--to", "messages", "--out"],
        ["init"],
    ],
    ids=lambda words: words[0],
)
def test_a_place_that_nothing_can_be_made_in_is_told(
    words: list[str],
    place: str,
    why: str,
    recipe: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if place.startswith("/proc") and not Path("/proc/self").exists():
        pytest.skip("no /proc here")
    monkeypatch.chdir(recipe.parent)
    Path("a-file").write_text("")
    Path("a-link").symlink_to("a-link")
    run_with_samples(Path("run"))
    assert cli.main([*words, place]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    told, mend = captured.err.splitlines()
    assert told.startswith("feldspar: ")
    assert "defect" not in told
    assert len(told) < 250
    if place != "a-link/x":
        assert place[:100] in told
        assert why in told
        assert mend == f"Name another place{' with --out' if '--out' in words else ''}."


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOENT, errno.EINVAL, errno.EIO])
def test_a_place_that_the_system_refuses_is_no_defect(
    number: int, recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refusal = OSError(number, os.strerror(number), str(recipe.parent / "out"))
    with lab_that(refusal, monkeypatch):
        assert cli.main(["run", str(recipe), "--out", str(recipe.parent / "out" / "run")]) == 1
    told, mend = capsys.readouterr().err.splitlines()
    assert f"{recipe.parent / 'out' / 'run'}: " in told
    assert mend == "Name another place with --out."


def test_a_file_that_is_missing_in_a_run_is_still_a_defect(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = recipe.parent / "run"
    with lab_that(FileNotFoundError(errno.ENOENT, "No such file", str(out / "2-samples" / "x")), monkeypatch):
        assert cli.main(["run", str(recipe), "--out", str(out)]) == 1
    assert "a defect in Feldspar: FileNotFoundError" in capsys.readouterr().err


def test_a_closed_pipe_is_silent() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as pipe:
        done = feldspar_process("--help", stdout=pipe, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_terminal_without_the_letters_still_gets_the_text(tmp_path: Path) -> None:
    environment = {**ENVIRONMENT, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "feldspar", "mix", str(tmp_path / "löß")]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=60)
    assert done.returncode == 1
    assert b"is no run" in done.stderr


def test_init_writes_the_example_and_refuses_what_is_not_empty(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "lab"
    assert cli.main(["init", str(target), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    files = sorted(path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file())
    assert files == sorted(told["files"])
    assert told["files"][-1] == "recipe.yaml"
    assert sum(name.endswith("/qna.yaml") for name in files) >= 3
    before = {name: (target / name).read_bytes() for name in files}
    assert cli.main(["init", str(target)]) == 1
    assert "not empty" in capsys.readouterr().err
    assert {name: (target / name).read_bytes() for name in files} == before


@pytest.fixture
def leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a taxonomy of a sound leaf and a bad one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FELDSPAR_CACHE", str(tmp_path / "cache"))
    for name in ("good", "bad"):
        folder = Path("skills") / name
        folder.mkdir(parents=True)
        seeds = "  - question: Why?\n    answer: Because.\n"
        author = "someone" if name == "good" else "12"
        text = (
            f"version: 4\ncreated_by: {author}\ntask_description: Ask why, and say.\nseed_examples:\n{seeds}"
        )
        (folder / "qna.yaml").write_text(text)
        (folder / "attribution.txt").write_text("License of the work: CC0-1.0\n")
    return Path("skills")


BAD = "skills/bad/qna.yaml:2:13: error: `created_by` is a number (12) where a string belongs [type]"


def test_check_prints_text_and_says_by_its_exit_code_whether_there_are_errors(
    leaves: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # What CI it runs in changes nothing: a format is named, or it is text.
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert cli.main(["check", str(leaves)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == BAD
    assert lines[-1] == "1 error, 0 warnings"
    assert cli.main(["check", str(leaves), "--quiet"]) == 1
    assert capsys.readouterr().out.splitlines() == lines[:-1]
    assert cli.main(["check", str(leaves / "good")]) == 0
    assert capsys.readouterr().out == "0 errors, 0 warnings\n"
    assert cli.main(["check", str(leaves / "good"), "-q"]) == 0
    assert capsys.readouterr().out == ""


def test_check_prints_what_programs_read(leaves: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outputs = []
    for words in (["--json"], ["--format", "json"], ["--json", "--format", "json", "--quiet"]):
        assert cli.main(["check", str(leaves), *words]) == 1
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1] == outputs[2]
    (problem,) = json.loads(outputs[0])["problems"]
    assert list(problem) == ["file", "line", "column", "severity", "rule", "message", "mend"]
    assert (problem["file"], problem["line"]) == ("skills/bad/qna.yaml", 2)
    assert cli.main(["check", str(leaves.absolute()), "--format", "github"]) == 1
    assert capsys.readouterr().out.startswith("::error file=skills/bad/qna.yaml,line=2,col=13,title=type::")
    assert cli.main(["check", str(leaves), "--format=sarif"]) == 1
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    assert run["tool"]["driver"]["version"] == feldspar.__version__
    assert [result["ruleId"] for result in run["results"]] == ["type"]


def test_a_hostile_name_stays_a_name_in_every_format(
    leaves: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = leaves / "a\n::error::x" / "##[error]\x1b[2J" / os.fsdecode(b"\xff")
    odd.mkdir(parents=True)
    (odd / "qna.yaml").write_text("version: '\n::error::x'\n")
    for form in ("text", "json", "github", "sarif"):
        assert cli.main(["check", str(leaves), "--format", form]) == 1
        out = capsys.readouterr().out
        assert "##[" not in out
        assert "\x1b" not in out
        commands = [line for line in out.split("\n") if line.lstrip().startswith("::")]
        assert all(line.startswith(("::error file=", "::warning file=")) for line in commands)
        assert bool(commands) == (form == "github")


def git(*words: str) -> None:
    names = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {**os.environ, **names, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", *words], env=environment, check=True, capture_output=True, timeout=60)


def test_check_of_what_differs_from_a_revision(leaves: Path, capsys: pytest.CaptureFixture[str]) -> None:
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message", "x")
    assert cli.main(["check", str(leaves), "--base", "HEAD"]) == 0
    assert capsys.readouterr().out == "0 errors, 0 warnings\n"
    with (leaves / "bad" / "qna.yaml").open("a") as file:
        file.write("# more\n")
    assert cli.main(["check", str(leaves), "--base", "HEAD"]) == 1
    assert capsys.readouterr().out.startswith(BAD)


@pytest.mark.parametrize("revision", ["nope", "--upload-pack=x", "-h", ""])
def test_a_base_that_is_no_revision_is_a_line_and_1(
    leaves: Path, revision: str, capsys: pytest.CaptureFixture[str]
) -> None:
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message", "x")
    assert cli.main(["check", str(leaves), f"--base={revision}", "--format", "json"]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("feldspar: --base")
    assert len(captured.err.splitlines()) == 2
    assert "--base" in json.loads(captured.out)["error"]["what"]


def test_a_base_outside_of_git_is_a_line_and_1(leaves: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", str(leaves), "--base", "HEAD"]) == 1
    assert "skills is in no git repository" in capsys.readouterr().err


def test_tree_shows_the_leaves_and_tells_of_errors(leaves: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["tree", str(leaves)]) == 1
    text = capsys.readouterr().out
    assert " ".join(text.split()).endswith("all 1 leaf, 1 unusable 1 seed 1 error")
    assert cli.main(["tree", str(leaves / "good"), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [row["seeds"] for row in data["leaves"]] == [1]
    assert cli.main(["tree", str(leaves / "nowhere")]) == 1
    assert "does not exist" in capsys.readouterr().err


def test_quiet_prints_the_result_and_no_note(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for quiet in ([], ["--quiet"]):
        folder = tmp_path / ("quiet" if quiet else "loud")
        run_with_samples(folder / "run")
        assert cli.main(["init", str(folder / "lab"), *quiet]) == 0
        assert cli.main(["schema", "--out", str(folder / "s.json"), *quiet]) == 0
        words = ["export", str(folder / "run"), "--to", "messages", "--out", str(folder / "x.jsonl")]
        assert cli.main([*words, *quiet]) == 0
        captured = capsys.readouterr()
        assert captured.err == ""
        told.append(captured.out.replace(str(folder), "F").splitlines())
    loud, left = told
    assert [line for line in loud if not line.startswith("Next: ")] == left
    assert len(loud) == len(left) + 1


def test_schema_is_printed_or_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["schema", "--quiet", "--json"]) == 0
    text = capsys.readouterr().out
    assert "$schema" in json.loads(text)
    out = tmp_path / "new" / "qna.schema.json"
    for _ in range(2):
        assert cli.main(["schema", "--out", str(out)]) == 0
        assert str(out) in capsys.readouterr().out
        assert out.read_text() == text
    leaf = tmp_path / "qna.yaml"
    leaf.write_text("version: 4\n")
    assert cli.main(["schema", "--out", str(leaf)]) == 1
    assert "nothing was written" in capsys.readouterr().err
    assert leaf.read_text() == "version: 4\n"
    assert cli.main(["schema", "--out", str(tmp_path)]) == 1
    assert "Traceback" not in capsys.readouterr().err


def run_with_samples(run: Path) -> None:
    for stage in ("2-samples", "model"):
        (run / stage).mkdir(parents=True)
        (run / stage / "stage.json").write_text('{"digest": "", "inputs": {}}')
    (run / "recipe.yaml").write_text("taxonomy: taxonomy/\n")
    (run / "model" / "config.json").write_text("{}")
    messages = (Message("user", "q\ud800"), Message("assistant", "ä"))
    sample = Sample("a#1", "a", "knowledge", messages, Origin("generated", "a#1"))
    jsonl.write(run / "2-samples" / "accepted.jsonl", [sample])


def test_export_writes_samples_and_model_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    run_with_samples(run)
    out = tmp_path / "out" / "rows.jsonl"
    assert cli.main(["export", str(run), "--to", "messages", "--out", str(out)]) == 0
    (row,) = [json.loads(line) for line in out.read_text().splitlines()]
    assert row["messages"][1] == {"role": "assistant", "content": "ä"}
    assert row["messages"][0]["content"] == "q\ud800"
    assert cli.main(["export", str(run), "--to", "hf", "--out", str(tmp_path / "hf")]) == 0
    assert [path.name for path in (tmp_path / "hf").iterdir()] == ["config.json"]
    capsys.readouterr()
    assert cli.main(["export", str(run), "--to", "hf", "--out", str(tmp_path / "hf")]) == 1
    assert "exists: nothing was written" in capsys.readouterr().err
