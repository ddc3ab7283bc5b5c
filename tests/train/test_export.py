from pathlib import Path

import pytest
import torch
from tests.tiny import make_tiny
from transformers import AutoModelForCausalLM, AutoTokenizer

from feldspar.errors import RunError, StudentError
from feldspar.train import load_student, load_weights, save_model


def test_a_saved_model_speaks_in_plain_transformers(tmp_path: Path) -> None:
    student = load_student(str(make_tiny(tmp_path / "tiny")))
    save_model(student, tmp_path / "model", "# Orrin\n")
    files = {path.name for path in (tmp_path / "model").iterdir()}
    assert {
        "model.safetensors",
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "README.md",
    } <= files
    assert not {name for name in files if name.endswith((".bin", ".pt", ".pkl"))}
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    talk = [{"role": "user", "content": "Who keeps the lamp?"}]
    given = tokenizer.apply_chat_template(talk, add_generation_prompt=True, return_tensors="pt")
    said = model.generate(**given, max_new_tokens=4, do_sample=False)
    assert said.shape[1] > given["input_ids"].shape[1]


def test_a_folder_with_something_in_it_is_never_overwritten(tmp_path: Path) -> None:
    student = load_student(str(make_tiny(tmp_path / "tiny")))
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.txt").write_text("mine")
    with pytest.raises(RunError, match="not empty"):
        save_model(student, tmp_path / "model", "")
    assert (tmp_path / "model" / "mine.txt").read_text() == "mine"


def test_weights_come_back_in_place(tmp_path: Path) -> None:
    folder = make_tiny(tmp_path / "tiny")
    student = load_student(str(folder))
    before = student.model.state_dict()["model.norm.weight"].clone()
    with torch.no_grad():
        student.model.model.norm.weight.add_(1)
    load_weights(student, folder)
    assert torch.equal(student.model.state_dict()["model.norm.weight"], before)


def test_weights_that_are_not_there_or_damaged_are_named(tmp_path: Path) -> None:
    folder = make_tiny(tmp_path / "tiny")
    student = load_student(str(folder))
    with pytest.raises(StudentError, match="no weights"):
        load_weights(student, tmp_path)
    (folder / "model.safetensors").write_bytes(b"\0" * 30)
    with pytest.raises(StudentError, match="cannot be loaded"):
        load_weights(student, folder)
