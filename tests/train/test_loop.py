import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.tiny import make_tiny

from feldspar.errors import RunError
from feldspar.train import TrainEvent, TrainSettings, load_student, load_weights, prune, train_phase
from feldspar.train.plan import rate
from feldspar.types import Checkpoint, Message, Origin, Phase, PhaseData, Row, Sample, Take

SETTINGS = TrainSettings(seed=3, precision="float32", token_budget=120, threads=1)
PHASE = Phase("kt1", (Take("knowledge"),), learning_rate=5e-3, warmup_steps=3, batch_size=4, epochs=4)


def row(name: str, question: str, answer: str) -> Row:
    talk = (Message("user", question), Message("assistant", answer))
    return Row(Sample(name, "knowledge/lamp", "knowledge", talk, Origin("generated", name)))


DATA = PhaseData(
    PHASE, tuple(row(f"s{n}", "Who keeps" + " the lamp" * (n % 4) + "?", f"{n} boats") for n in range(10))
)


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    return str(make_tiny(tmp_path / "tiny"))


def weights(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    return load_file(Path(checkpoint.folder) / "model.safetensors")


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_phase_learns_and_leaves_a_checkpoint_an_epoch(tiny: str, tmp_path: Path) -> None:
    events: list[TrainEvent] = []
    found = train_phase(load_student(tiny), DATA, tmp_path / "out", settings=SETTINGS, watch=events.append)
    steps = [event for event in events if event.kind == "step"]
    assert [checkpoint.step for checkpoint in found] == [3, 6, 9, 12]
    assert [checkpoint.epoch for checkpoint in found] == [1, 2, 3, 4]
    assert [checkpoint.selected for checkpoint in found] == [False, False, False, True]
    assert [event.step for event in steps] == list(range(1, 13))
    assert [event.learning_rate for event in steps[:4]] == pytest.approx([5e-3 / 3, 1e-2 / 3, 5e-3, 5e-3])
    assert steps[-1].loss is not None
    assert steps[0].loss is not None
    assert steps[-1].loss < 0.7 * steps[0].loss
    assert sum((checkpoint.losses for checkpoint in found), ()) == tuple(event.loss for event in steps)
    assert (events[0].kind, events[-1].kind) == ("start", "end")


def test_fewer_checkpoints_are_spread_and_hold_the_last(tiny: str, tmp_path: Path) -> None:
    few = replace(SETTINGS, checkpoints=2)
    found = train_phase(load_student(tiny), DATA, tmp_path / "out", settings=few)
    assert [checkpoint.epoch for checkpoint in found] == [2, 4]
    assert [len(checkpoint.losses) for checkpoint in found] == [6, 6]


def test_the_scores_choose_and_the_chosen_weights_can_be_loaded(tiny: str, tmp_path: Path) -> None:
    scores = iter([(-3.0, -3.1), (-1.0, -1.1), (-0.9, -1.2), (-2.0, -2.0)])
    student = load_student(tiny)
    found = train_phase(student, DATA, tmp_path / "out", score=lambda: next(scores), settings=SETTINGS)
    chosen = next(checkpoint for checkpoint in found if checkpoint.selected)
    assert chosen.epoch == 2
    assert chosen.score == pytest.approx(-1.05)
    load_weights(student, Path(chosen.folder))
    now = student.model.state_dict()
    assert all(torch.equal(now[name], value) for name, value in weights(chosen).items())


def test_stopped_after_an_epoch_and_resumed_it_ends_with_equal_weights(tiny: str, tmp_path: Path) -> None:
    whole = train_phase(load_student(tiny), DATA, tmp_path / "whole", settings=SETTINGS)

    def stop(event: TrainEvent) -> None:
        if event.step == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_phase(load_student(tiny), DATA, tmp_path / "cut", settings=SETTINGS, watch=stop)
    seen: list[TrainEvent] = []
    again = train_phase(load_student(tiny), DATA, tmp_path / "cut", settings=SETTINGS, watch=seen.append)
    assert [event.step for event in seen if event.kind == "step"] == list(range(7, 13))
    assert "resumed after step 6" in seen[0].note
    assert same(weights(whole[-1]), weights(again[-1]))
    assert [checkpoint.losses for checkpoint in whole] == [checkpoint.losses for checkpoint in again]
    assert [path.name for path in (tmp_path / "cut" / "resume").iterdir()] == ["step-12"]


def test_killed_outright_it_goes_on_and_ends_with_equal_weights(tiny: str, tmp_path: Path) -> None:
    whole = train_phase(load_student(tiny), DATA, tmp_path / "whole", settings=SETTINGS)
    code = (
        "import sys, time; from pathlib import Path\n"
        "from tests.train.test_loop import *\n"
        "train_phase(load_student(sys.argv[1]), DATA, Path(sys.argv[2]), settings=SETTINGS,\n"
        "    watch=lambda event: time.sleep(60) if event.step == 4 else None)\n"
    )
    root = Path(__file__).parents[2]
    path = os.pathsep.join([str(root / "src"), str(root)])
    out = tmp_path / "killed"
    child = subprocess.Popen(
        [sys.executable, "-c", code, tiny, str(out)], env={**os.environ, "PYTHONPATH": path}
    )
    limit = time.monotonic() + 120
    while not (out / "step-3" / "checkpoint.json").exists() and time.monotonic() < limit:
        assert child.poll() is None
        time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not (out / "phase.json").exists()
    (out / ".step-6.partial").mkdir()
    again = train_phase(load_student(tiny), DATA, out, settings=SETTINGS)
    assert same(weights(whole[-1]), weights(again[-1]))
    assert not (out / ".step-6.partial").exists()


def test_a_finished_phase_is_not_trained_again_even_pruned(tiny: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = train_phase(load_student(tiny), DATA, out, score=lambda: (-1.0, -2.0), settings=SETTINGS)
    chosen = next(checkpoint for checkpoint in first if checkpoint.selected)
    assert prune(out, chosen) > 0
    assert [path.parent.name for path in out.glob("*/*.safetensors")] == ["step-3"]
    assert len(list(out.glob("step-*/checkpoint.json"))) == 4
    assert not (out / "resume").exists()
    seen: list[TrainEvent] = []
    again = train_phase(load_student(tiny), DATA, out, settings=SETTINGS, watch=seen.append)
    assert again == first
    assert [event.kind for event in seen] == ["end"]


def test_other_data_seed_or_weights_in_the_folder_are_refused(tiny: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    student = load_student(tiny)
    train_phase(student, DATA, out, settings=SETTINGS)
    (out / "phase.json").unlink()
    fresh = load_student(tiny)
    for data, settings, model in (
        (replace(DATA, rows=DATA.rows[1:]), SETTINGS, fresh),
        (DATA, replace(SETTINGS, seed=4), fresh),
        (DATA, SETTINGS, student),
    ):
        with pytest.raises(RunError, match="other data, settings or weights") as raised:
            train_phase(model, data, out, settings=settings)
        assert "Delete the phase's folder" in raised.value.mend
    assert train_phase(fresh, DATA, out, settings=replace(SETTINGS, token_budget=50))[-1].step == 12


def test_samples_above_the_context_are_left_out_and_counted(tiny: str, tmp_path: Path) -> None:
    short = replace(PHASE, context_length=60, epochs=1)
    rows = (*DATA.rows, row("long", "Who?", "salt " * 80))
    seen: list[TrainEvent] = []
    train_phase(
        load_student(tiny), PhaseData(short, rows), tmp_path / "out", settings=SETTINGS, watch=seen.append
    )
    assert (seen[0].samples, seen[0].left_out) == (10, 1)
    assert "long" in seen[0].note
    assert json.loads((tmp_path / "out" / "phase.json").read_text())["left_out"] == ["long"]
    with pytest.raises(RunError, match="all 11 samples are longer"):
        train_phase(
            load_student(tiny),
            PhaseData(replace(short, context_length=3), rows),
            tmp_path / "none",
            settings=SETTINGS,
        )


def test_a_skipped_phase_trains_nothing(tiny: str, tmp_path: Path) -> None:
    assert train_phase(load_student(tiny), PhaseData(PHASE, (), "no data"), tmp_path / "out") == ()
    assert not (tmp_path / "out").exists()


def test_a_loss_that_is_no_number_stops_the_phase(tiny: str, tmp_path: Path) -> None:
    student = load_student(tiny)
    with torch.no_grad():
        student.model.model.norm.weight.fill_(float("nan"))
    with pytest.raises(RunError, match="no longer a number at step 1"):
        train_phase(student, DATA, tmp_path / "out", settings=SETTINGS)


def test_a_damaged_checkpoint_is_named(tiny: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    train_phase(load_student(tiny), DATA, out, settings=SETTINGS)
    (out / "step-6" / "checkpoint.json").write_text("{")
    (out / "phase.json").unlink()
    with pytest.raises(RunError, match=r"step-6.*damaged"):
        train_phase(load_student(tiny), DATA, out, settings=SETTINGS)


def test_the_warm_up_is_linear_and_then_constant_and_may_outlast_its_phase() -> None:
    phase = Phase("p", (), learning_rate=2e-5, warmup_steps=800)
    assert rate(phase, 1) == pytest.approx(2e-5 / 800)
    assert rate(phase, 656) == pytest.approx(2e-5 * 656 / 800)
    assert rate(phase, 800) == rate(phase, 5000) == 2e-5
    assert rate(replace(phase, warmup_steps=0), 1) == 2e-5
