from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from feldspar import recipe as recipes
from feldspar.errors import RunError
from feldspar.run import Run

SRC = Path(__file__).resolve().parents[1] / "src"


def recipe(folder: Path, *sets: str) -> recipes.Recipe:
    path = folder / "recipe.yaml"
    path.write_text("taxonomy: taxonomy/\n")
    return recipes.load(path, sets)


def make(run: Run, stage: str, content: str = "x", digest: str = "", **inputs: str) -> bool:
    """Make a stage of one file; whether there was anything to do."""
    assert run.recipe is not None
    with run.stage(stage, digest or recipes.part_digest(run.recipe, stage), inputs) as folder:
        if folder is not None:
            (folder / "data.jsonl").write_text(content)
    return folder is not None


def stop_halfway(run: Run, stage: str, digest: str, error: BaseException) -> None:
    """Begin a stage, leave something in it, and fail."""
    with run.stage(stage, digest, {}) as folder:
        assert folder is not None
        (folder / "step-1").mkdir()
        raise error


def test_a_stage_is_there_when_it_is_whole_and_is_then_skipped(tmp_path: Path) -> None:
    with Run(tmp_path / "run") as run:
        run.freeze(recipe(tmp_path))
        assert not run.complete("1-leaves")
        assert make(run, "1-leaves", leaf="a")
        assert run.completed() == ("1-leaves",)
        assert not make(run, "1-leaves", leaf="a")
    manifest = json.loads((tmp_path / "run/1-leaves/stage.json").read_text())
    assert manifest["inputs"] == {"leaf": "a"}
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [".lock", "1-leaves", "recipe.yaml"]


def test_a_stage_that_fails_leaves_no_stage_and_starts_empty(tmp_path: Path) -> None:
    with Run(tmp_path / "run") as run:
        run.freeze(recipe(tmp_path))
        with pytest.raises(ZeroDivisionError):
            stop_halfway(run, "2-samples", "d", ZeroDivisionError())
        assert not run.complete("2-samples")
        with run.stage("2-samples", "d", {}) as folder:
            assert folder is not None
            assert not (folder / "step-1").exists()


def test_training_goes_on_in_what_was_left(tmp_path: Path) -> None:
    with Run(tmp_path / "run") as run:
        run.freeze(recipe(tmp_path))
        digest = recipes.part_digest(recipe(tmp_path), "4-checkpoints")
        with pytest.raises(KeyboardInterrupt):
            stop_halfway(run, "4-checkpoints", digest, KeyboardInterrupt())
    with Run(tmp_path / "run") as run:
        run.freeze(recipe(tmp_path))
        with run.stage("4-checkpoints", digest, {}) as folder:
            assert folder is not None
            assert (folder / "step-1").is_dir()
        assert (run.path("4-checkpoints") / "step-1").is_dir()


def test_training_of_other_settings_is_not_gone_on_with(tmp_path: Path) -> None:
    with Run(tmp_path / "run") as run:
        run.freeze(recipe(tmp_path))
        digest = recipes.part_digest(recipe(tmp_path), "4-checkpoints")
        with pytest.raises(KeyboardInterrupt):
            stop_halfway(run, "4-checkpoints", digest, KeyboardInterrupt())
        other = recipe(tmp_path, "train.seed=3")
        with pytest.raises(RunError, match=r"4-checkpoints has other settings: train\.seed was 0 and is 3"):
            run.freeze(other)
        run.redo = True
        run.freeze(other)
        with run.stage("4-checkpoints", recipes.part_digest(other, "4-checkpoints"), {}) as folder:
            assert folder is not None
            assert not (folder / "step-1").exists()


def test_another_recipe_is_refused_in_words_before_anything_is_done(tmp_path: Path) -> None:
    with Run(tmp_path / "run") as run:
        run.freeze(recipe(tmp_path))
        make(run, "1-leaves")
        make(run, "2-samples")
    frozen = (tmp_path / "run/recipe.yaml").read_bytes()
    with Run(tmp_path / "run") as run, pytest.raises(RunError) as error:
        run.freeze(recipe(tmp_path, "generate.max_draws_per_sample=9"))
    assert (
        "run/2-samples has other settings: generate.max_draws_per_sample was 4 and is 9" in error.value.what
    )
    assert "--redo" in error.value.mend
    assert (tmp_path / "run/recipe.yaml").read_bytes() == frozen


def test_a_change_that_no_stage_depends_on_is_taken_over(tmp_path: Path) -> None:
    with Run(tmp_path / "run") as run:
        run.freeze(recipe(tmp_path))
        make(run, "2-samples")
        run.freeze(recipe(tmp_path, "teacher.endpoints=['http://h/v1']", "train.seed=1"))
        assert not make(run, "2-samples")
    with Run(tmp_path / "run") as run:
        assert run.recipe is not None
        assert run.recipe.teacher.endpoints == ("http://h/v1",)


def test_changed_inputs_are_named_and_redo_makes_what_follows_again(tmp_path: Path) -> None:
    with Run(tmp_path / "run") as run:
        run.freeze(recipe(tmp_path))
        make(run, "1-leaves", a="1", b="1")
        for stage in recipes.STAGES[1:]:
            make(run, stage)
        with pytest.raises(RunError) as error:
            make(run, "1-leaves", a="2", c="1")
        assert "c is new; b is gone; a has changed" in error.value.what
        assert run.completed() == recipes.STAGES
    with Run(tmp_path / "run", redo=True) as run:
        run.freeze(recipe(tmp_path))
        assert not make(run, "1-leaves", a="1", b="1"), "redo leaves alone what fits"
        assert make(run, "1-leaves", a="2")
        assert run.completed() == ("1-leaves",)
        assert not (run.folder / ".aside").exists()


def test_an_edited_file_shows_in_the_output_digest(tmp_path: Path) -> None:
    with Run(tmp_path / "run") as run:
        run.freeze(recipe(tmp_path))
        with pytest.raises(RunError, match="not made yet"):
            run.output_digest("2-samples")
        make(run, "2-samples")
        before = run.output_digest("2-samples")
        assert run.output_digest("2-samples") == before
        (run.path("2-samples") / "data.jsonl").write_text("y")
        assert run.output_digest("2-samples") != before


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"digest": 1, "inputs": {}}'])
def test_a_damaged_manifest_is_refused_and_redo_mends_it(tmp_path: Path, damage: str) -> None:
    with Run(tmp_path / "run") as run:
        run.freeze(recipe(tmp_path))
        make(run, "1-leaves")
        (run.path("1-leaves") / "stage.json").write_text(damage)
        with pytest.raises(RunError, match="was altered"):
            make(run, "1-leaves")
        (run.path("1-leaves") / "stage.json").unlink()
        with pytest.raises(RunError, match=r"its stage\.json is gone"):
            make(run, "1-leaves")
        run.redo = True
        assert make(run, "1-leaves")


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(RunError, match="holds other files"):
        Run(tmp_path)
    with pytest.raises(RunError, match="is a file"):
        Run(tmp_path / "thesis.tex")
    with pytest.raises(RunError, match=r"no recipe\.yaml"):
        Run(tmp_path / "none", create=False)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_two_processes_cannot_work_in_one_folder(tmp_path: Path) -> None:
    program = f"""
import sys, time
sys.path.insert(0, {str(SRC)!r})
from pathlib import Path
from feldspar.run import Run
run = Run(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""
    child = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        with pytest.raises(RunError, match=f"process {child.pid}"):
            Run(tmp_path)
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.communicate()
    Run(tmp_path).close()


def test_a_reader_needs_no_lock(tmp_path: Path) -> None:
    with Run(tmp_path) as run:
        run.freeze(recipe(tmp_path))
        assert Run(tmp_path, create=False, lock=False).recipe == run.recipe


def test_a_full_disk_is_named_and_leaves_no_stage(tmp_path: Path) -> None:
    with Run(tmp_path / "run") as run:
        run.freeze(recipe(tmp_path))
        with pytest.raises(RunError, match="the disk is full"), run.stage("2-samples", "d", {}):
            raise OSError(errno.ENOSPC, "No space left on device")
        assert run.completed() == ()


def test_a_moved_project_keeps_its_stages(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    with Run(old / "runs" / "a") as run:
        run.freeze(recipe(old))
        make(run, "1-leaves")
    old.rename(tmp_path / "new")
    with Run(tmp_path / "new" / "runs" / "a") as run:
        assert run.recipe is not None
        assert run.recipe.taxonomy == tmp_path / "new" / "taxonomy"
        run.freeze(recipe(tmp_path / "new"))
        assert not make(run, "1-leaves")


def test_a_recipe_that_no_run_wrote_is_not_overwritten(tmp_path: Path) -> None:
    settings = recipe(tmp_path)
    before = (tmp_path / "recipe.yaml").read_bytes()
    with pytest.raises(RunError, match="was written by no run") as error:
        Run(tmp_path)
    assert str(tmp_path / "runs" / "first") in error.value.mend
    assert sorted(path.name for path in tmp_path.iterdir()) == ["recipe.yaml"]
    assert (tmp_path / "recipe.yaml").read_bytes() == before
    # What a run wrote is gone on with, though nothing else is there yet.
    with Run(tmp_path / "run") as run:
        run.freeze(settings)
    with Run(tmp_path / "run") as run:
        assert run.recipe == settings
    (tmp_path / "journal.sqlite").touch()
    Run(tmp_path).close()
