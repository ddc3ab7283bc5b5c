from __future__ import annotations

import io

import pytest

from feldspar import progress
from feldspar.events import LeafProgress, Note, StageDone, StageStarted, Tokens, TrainProgress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def leaf(drawn: int, accepted: int, **rejected: int) -> LeafProgress:
    return LeafProgress("knowledge/a", drawn, accepted, 10, rejected)


def test_a_line_says_counts_pace_and_time_left() -> None:
    state = progress.State()
    progress.apply(state, StageStarted("2-samples"), 100.0)
    progress.apply(state, leaf(0, 0), 100.0)
    progress.apply(state, leaf(8, 5, ungrounded=2, unparsable=1), 110.0)
    progress.apply(state, Tokens(50, 400, 1.0), 110.0)
    progress.apply(state, Tokens(50, 900, 0.0, stored=True), 110.0)
    assert progress.summary(state, 110.0) == (
        "2-samples  8 drafted  5 of 10 accepted  3 rejected  40 tokens/s  "
        "1 of 2 replies from the journal  10 s left"
    )


def test_stored_work_is_no_pace() -> None:
    state = progress.State()
    progress.apply(state, StageStarted("2-samples"), 0.0)
    progress.apply(state, leaf(8, 8), 1.0)
    assert progress.left(state, 1.0) is None
    progress.apply(state, leaf(9, 9), 5.0)
    assert progress.left(state, 5.0) == pytest.approx(5.0)


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
    text = out.getvalue()
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
