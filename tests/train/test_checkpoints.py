import errno
import json
import math
import statistics
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feldspar.errors import RunError
from feldspar.train import select
from feldspar.train.checkpoints import disk, read_checkpoints, renamed_last, standard_error


def test_the_best_wins_when_it_is_better_by_more_than_chance() -> None:
    assert select([(-3.0, -4.0, -5.0), (-2.0, -3.1, -4.0), (-1.0, -2.0, -3.0)]) == 2


def test_an_earlier_one_within_a_standard_error_wins() -> None:
    # Better by 0.1 on average, but up on two questions and down on two: chance.
    assert select([(-9.0,) * 4, (-2.0, -2.0, -2.0, -2.0), (-1.0, -1.2, -2.7, -2.7)]) == 1


def test_the_difference_is_paired() -> None:
    # The questions differ wildly, the checkpoints by the same 0.1 on each: no chance about it.
    assert select([(-1.0, -50.0, -9.0), (-0.9, -49.9, -8.9)]) == 1


def test_no_questions_leave_the_last_and_one_question_has_no_error() -> None:
    assert select([(), (), ()]) == 2
    assert select([(-2.0,), (-1.0,), (-1.0,)]) == 1
    assert standard_error([3.0]) == 0.0


def test_a_score_that_is_no_number_never_wins() -> None:
    assert select([(math.nan, -1.0), (-5.0, -5.0)]) == 1
    assert select([(-5.0, -5.0), (math.inf, -1.0)]) == 0


@pytest.mark.parametrize("scores", [[], [(1.0,), (1.0, 2.0)]])
def test_scores_that_cannot_be_paired_are_refused(scores: list[tuple[float, ...]]) -> None:
    with pytest.raises(ValueError, match="as many scores"):
        select(scores)


@given(
    st.integers(1, 6).flatmap(lambda n: st.lists(st.tuples(*[st.floats(-20, 0)] * n), min_size=1, max_size=6))
)
def test_the_choice_is_within_an_error_of_the_best_and_no_later(scores: list[tuple[float, ...]]) -> None:
    means = [statistics.fmean(row) for row in scores]
    best, chosen = means.index(max(means)), select(scores)
    assert chosen <= best
    differences = [b - a for a, b in zip(scores[chosen], scores[best], strict=True)]
    assert statistics.fmean(differences) <= standard_error(differences) + 1e-9


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_score_that_is_no_number_is_none_when_it_is_read_again(tmp_path: Path) -> None:
    folder = tmp_path / "step-3"
    folder.mkdir()
    record = {"phase": "kt1", "step": 3, "epoch": 1, "losses": [2.0], "scores": [None, 0.5]}
    (folder / "checkpoint.json").write_text(json.dumps({**record, "fingerprint": "f"}), encoding="utf-8")
    ((checkpoint, scores),) = read_checkpoints(tmp_path, "f")
    assert (checkpoint.score, checkpoint.error) == (None, None)
    assert math.isnan(scores[0])


def test_a_full_disk_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="the disk is full") as raised, disk(tmp_path):
        Path("/dev/full").write_text("x" * 100_000)
    assert "last checkpoint" in raised.value.mend


def test_nothing_half_written_takes_a_folders_place(tmp_path: Path) -> None:
    with renamed_last(tmp_path / "step-3") as partial:
        (partial / "a").write_text("old")

    def fail() -> None:
        with renamed_last(tmp_path / "step-3") as partial:
            (partial / "a").write_text("new")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(RunError, match="full"):
        fail()
    assert (tmp_path / "step-3" / "a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["step-3"]
