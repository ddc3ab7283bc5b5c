"""The model as Hugging Face safetensors that plain transformers load, and weights back from there."""

from __future__ import annotations

from pathlib import Path

import torch

from feldspar.errors import RunError, StudentError
from feldspar.train.checkpoints import renamed_last, write_weights
from feldspar.train.records import Student
from feldspar.train.student import LOADING_ERRORS, quiet


def save_model(student: Student, folder: Path, card: str) -> None:
    """Write the model, tokenizer, chat template, generation config and `card` as README.md.

    Raises:
        RunError: the folder exists, cannot be written, or the disk is full.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RunError(f"{folder}: exists and is not empty", "Remove it, or name another folder.")
    with renamed_last(folder) as partial:
        write_weights(student, partial)
        (partial / "README.md").write_text(card, encoding="utf-8")


def load_weights(student: Student, folder: Path) -> None:
    """Give the student the weights of a checkpoint or a saved model of the same architecture, in place.

    Raises:
        StudentError: the folder holds no such weights, or damaged ones.
    """
    mend = "Delete the stage of the run that it belongs to, and give the same command again."
    if not any(folder.glob("*.safetensors")):
        raise StudentError(f"{folder}: no weights there", mend)
    try:
        with quiet():
            fresh, found = type(student.model).from_pretrained(
                str(folder),
                dtype=torch.float32,
                use_safetensors=True,
                local_files_only=True,
                output_loading_info=True,
            )
        if found["missing_keys"] or found["mismatched_keys"]:
            raise StudentError(f"{folder}: weights are missing", mend)
        student.model.load_state_dict(fresh.state_dict())
    except LOADING_ERRORS as error:
        raise StudentError(f"{folder}: the weights cannot be loaded ({str(error)[:200]})", mend) from error
