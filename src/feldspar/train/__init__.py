"""Training in phases (§3.3, Table 2): the student, exact batches, the loop, checkpoints, export.

`load_student` -> `train_phase` for each phase -> `load_weights` of the chosen checkpoint ->
`save_model`. Importing this package without torch raises a `StudentError` that says what to install.
"""

from __future__ import annotations

from feldspar.train import needs
from feldspar.train.batches import epoch_order, micro_batches, steps_of
from feldspar.train.checkpoints import prune, select
from feldspar.train.encode import encode
from feldspar.train.export import load_weights, save_model
from feldspar.train.loop import train_phase
from feldspar.train.records import Encoded, Student, TrainEvent, TrainSettings
from feldspar.train.student import load_student

INSTALL = needs.INSTALL

__all__ = [
    "INSTALL",
    "Encoded",
    "Student",
    "TrainEvent",
    "TrainSettings",
    "encode",
    "epoch_order",
    "load_student",
    "load_weights",
    "micro_batches",
    "prune",
    "save_model",
    "select",
    "steps_of",
    "train_phase",
]
