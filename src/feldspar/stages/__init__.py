"""What each stage of a run is made of, calls and writes; `lab` knows their order.

Each stage has two functions: `…_inputs` names what it is made of beside its settings, with digests,
and `write_…` makes its folder. All that is computed happens in the stage's own package.
"""

from feldspar.stages.datasets import find_source
from feldspar.stages.leaves import held_out, leaf_inputs, write_leaves
from feldspar.stages.phases import phase_inputs, read_phases, write_phases
from feldspar.stages.pilot import MEASURES, Pilot, fly
from feldspar.stages.rejudged import Rejudgement, plan_of, rejudge, replayed
from feldspar.stages.samples import leaf_plans, read_drafts, sample_inputs, write_samples
from feldspar.stages.scores import read_scores, score_inputs, write_scores
from feldspar.stages.telling import too_few
from feldspar.stages.training import (
    checkpoint_inputs,
    load_student,
    model_inputs,
    read_checkpoints,
    write_checkpoints,
    write_model,
)
from feldspar.stages.work import Work, look_ahead, pack_of, read_leaves, write_json

__all__ = [
    "MEASURES",
    "Pilot",
    "Rejudgement",
    "Work",
    "checkpoint_inputs",
    "find_source",
    "fly",
    "held_out",
    "leaf_inputs",
    "leaf_plans",
    "load_student",
    "look_ahead",
    "model_inputs",
    "pack_of",
    "phase_inputs",
    "plan_of",
    "read_checkpoints",
    "read_drafts",
    "read_leaves",
    "read_phases",
    "read_scores",
    "rejudge",
    "replayed",
    "sample_inputs",
    "score_inputs",
    "too_few",
    "write_checkpoints",
    "write_json",
    "write_leaves",
    "write_model",
    "write_phases",
    "write_samples",
    "write_scores",
]
