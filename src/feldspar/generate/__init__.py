"""§3.2, the taxonomy-driven generator: leaves in, numbered drafts out, each accepted or with its reason.

`skills.py` and `knowledge.py` hold the pipelines, each a list of steps; `schedule.py` draws them;
`prompts/*.yaml` holds every word that the teacher is told.
"""

from feldspar.generate.ask import Panel
from feldspar.generate.calibrate import Calibration, calibrate
from feldspar.generate.pack import Pack
from feldspar.generate.packs import BUILT_IN, load_pack
from feldspar.generate.plan import (
    LeafOutcome,
    LeafPlan,
    pipeline_calls,
    section_name,
    split_seeds,
    why_nothing,
)
from feldspar.generate.samples import funnel, to_sample
from feldspar.generate.schedule import generate

__all__ = [
    "BUILT_IN",
    "Calibration",
    "LeafOutcome",
    "LeafPlan",
    "Pack",
    "Panel",
    "calibrate",
    "funnel",
    "generate",
    "load_pack",
    "pipeline_calls",
    "section_name",
    "split_seeds",
    "to_sample",
    "why_nothing",
]
