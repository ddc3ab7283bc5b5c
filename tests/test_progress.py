from __future__ import annotations

import io
import re

import pytest

from feldspar import progress
from feldspar.events import (
    Calibrating,
    LeafProgress,
    Note,
    StageDone,
    StageStarted,
    Tokens,
    TrainProgress,
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def leaf(drawn: int, accepted: int, **rejected: int) -> LeafProgress:
    return LeafProgress("knowledge/a", drawn, accepted, 10, rejected)


def test_a_line_says_counts_pace_and_time_left() -> None:
    state = progress.State()
    progress.apply(state, StageStarted("2-samples"), 100.0)
    progress.apply(state, leaf(0, 0), 100.0)
    progress.apply(state, Tokens(50, 400, 1.0), 110.0)
    progress.apply(state, leaf(8, 5, ungrounded=2, unparsable=1), 110.0)
    progress.apply(state, Tokens(50, 900, 0.0, stored=True), 110.0)
    assert progress.summary(state, 110.0) == (
        "2-samples  8 drafted  5 of 10 accepted  3 rejected  40 tokens/s  "
        "1 of 2 replies from the journal  10 s left"
    )


def test_stored_work_is_no_pace() -> None:
    state = progress.State()
    progress.apply(state, StageStarted("2-samples"), 0.0)
    for place in range(1, 9):
        progress.apply(state, Tokens(50, 50, stored=True), 1.0)
        progress.apply(state, leaf(place, place), 1.0)
    assert progress.left(state, 1.0) is None
    assert "tokens/s" not in progress.summary(state, 1.0)
    progress.apply(state, Tokens(50, 50, 4.0), 5.0)
    progress.apply(state, leaf(9, 9), 5.0)
    assert progress.left(state, 5.0) == pytest.approx(4.0)


def test_calibration_says_how_far_it_is_and_is_no_pace_of_the_draws() -> None:
    state = progress.State()
    progress.apply(state, StageStarted("2-samples"), 0.0)
    progress.apply(state, Calibrating(0, 100), 0.0)
    assert progress.summary(state, 0.0) == "2-samples  calibrating the judges: 0 of 100"
    progress.apply(state, Tokens(50, 300, 1.0), 10.0)
    progress.apply(state, Calibrating(40, 100), 10.0)
    assert progress.summary(state, 10.0) == "2-samples  calibrating the judges: 40 of 100  30 tokens/s"
    progress.apply(state, Calibrating(100, 100), 20.0)
    assert progress.summary(state, 20.0) == "2-samples  1 reply  15 tokens/s"
    progress.apply(state, leaf(5, 5), 30.0)
    assert progress.left(state, 30.0) == pytest.approx(10.0)
    progress.apply(state, StageStarted("3-phases"), 31.0)
    assert progress.summary(state, 31.0) == "3-phases"


def test_a_calibration_that_is_given_up_does_not_stay_in_view() -> None:
    state = progress.State()
    progress.apply(state, StageStarted("rejudge"), 0.0)
    progress.apply(state, Calibrating(1, 9), 1.0)
    progress.apply(state, leaf(1, 1), 2.0)
    progress.apply(state, Calibrating(2, 9), 3.0)
    assert progress.summary(state, 3.0).startswith("rejudge  1 drafted  1 of 10 accepted")


def test_a_pilot_counts_draws_and_nothing_is_left_of_what_is_done() -> None:
    state = progress.State()
    progress.apply(state, StageStarted("pilot"), 0.0)
    progress.apply(state, Tokens(50, 300, 1.0), 10.0)
    progress.apply(state, LeafProgress("a", 1, 0, 2, {"ungrounded": 1}, draws=2), 10.0)
    assert progress.summary(state, 10.0) == (
        "pilot  1 of 2 drafted  0 accepted  1 rejected  30 tokens/s  10 s left"
    )
    progress.apply(state, LeafProgress("a", 2, 0, 2, {"ungrounded": 2}, done=True, draws=2), 20.0)
    # A leaf that has its samples makes no more draws.
    progress.apply(state, LeafProgress("b", 1, 1, 1, done=True, draws=2), 20.0)
    assert progress.summary(state, 20.0) == "pilot  3 of 3 drafted  1 accepted  2 rejected  15 tokens/s"


def test_plain_lines_tell_at_once_that_the_judges_are_calibrated() -> None:
    out = io.StringIO()
    with progress.Live(out) as live:
        for event in (StageStarted("2-samples"), *(Calibrating(done, 3) for done in range(4))):
            live(event)
    assert out.getvalue().splitlines() == ["2-samples", "2-samples  calibrating the judges: 0 of 3"]


def test_training_says_phase_step_loss_and_time_left() -> None:
    state = progress.State()
    progress.apply(state, StageStarted("4-checkpoints"), 0.0)
    progress.apply(state, TrainProgress("kt1", 1, 2, 1, 11, 2.5, 1e-4), 10.0)
    assert "left" not in progress.summary(state, 10.0)
    progress.apply(state, TrainProgress("kt1", 1, 2, 6, 11, 1.25, 1e-4, 200.0), 20.0)
    line = progress.summary(state, 20.0)
    assert line == (
        "4-checkpoints  phase kt1  epoch 1/2  step 6/11  loss 1.250  rate 1.0e-04  200 tokens/s  10 s left"
    )


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "0 s"), (59.6, "1 min 00 s"), (3661, "1 h 01 min")])
def test_durations(seconds: float, text: str) -> None:
    assert progress.duration(seconds) == text


EVENTS = [
    StageStarted("2-samples"),
    leaf(3, 1, ungrounded=2),
    Note("the judge is at chance\x1b[31m [red]"),
    StageDone("2-samples", 61.0),
    StageDone("3-phases", skipped=True),
]


def test_without_a_terminal_there_are_plain_lines() -> None:
    out = io.StringIO()
    with progress.Live(out) as live:
        for event in EVENTS:
            live(event)
    assert out.getvalue().splitlines()[1] == "the judge is at chance�[31m [red]"
    assert "2-samples  done in 1 min 01 s" in out.getvalue()
    assert "1 of 10 accepted" in out.getvalue()
    assert "3-phases  complete already" in out.getvalue()


def test_a_terminal_gets_a_table_in_which_no_text_is_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    out = Terminal()
    with progress.Live(out) as live:
        for event in EVENTS[:3]:
            live(event)
        live(LeafProgress("[bold]x[/nonsense]", 1, 0, 5))
        live._view.refresh()
        live(LeafProgress("piloted", 3, 2, 5, draws=7))
        live._view.refresh()
        live(StageStarted("pilot"))
        live(Calibrating(40, 100))
        live._view.refresh()
    text = out.getvalue()
    assert "calibrating the judges: 40 of 100" in text
    assert re.search(r"piloted +3/7 +2 ", text)
    assert "[bold]x[/nonsense]" in text
    assert "2 ungrounded" in text
    assert "[31m [red]" in text
    assert "\x1b[31m" not in text


def test_quiet_is_silent_and_a_closed_stream_stops_nothing() -> None:
    out = Terminal()
    with progress.Live(out, quiet=True) as live:
        for event in EVENTS:
            live(event)
    assert out.getvalue() == ""
    gone = io.StringIO()
    gone.close()
    live = progress.Live(io.StringIO())
    live.out = gone
    for event in EVENTS:
        live(event)
