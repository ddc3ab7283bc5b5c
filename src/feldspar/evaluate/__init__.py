"""What a model knows before and after: questions, answers, scores (§4).

The flow: `read_questions` -> `contamination` proves that training saw none of them -> `answer`,
once for the base and once for the tuned model -> `compare`; `retained` -> `retention` for what
the model could do before. `recalled` is the score by which checkpoints are chosen; `reply`
and `chat` let a person talk to the models.

What needs torch is imported on first use, so that question files can be read, checked for
contamination and compared where torch is not installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from feldspar.evaluate.chat import Speak, chat
from feldspar.evaluate.compare import compare, retention
from feldspar.evaluate.contamination import contamination
from feldspar.evaluate.questions import choices, expected_facts, prompt_text, read_questions, read_texts

if TYPE_CHECKING:
    from feldspar.evaluate.answers import answer, retained
    from feldspar.evaluate.choosing import recalled
    from feldspar.evaluate.speak import reply

_NEEDS_TORCH = {
    "answer": "answers",
    "recalled": "choosing",
    "retained": "answers",
    "reply": "speak",
}

__all__ = [
    "Speak",
    "answer",
    "chat",
    "choices",
    "compare",
    "contamination",
    "expected_facts",
    "prompt_text",
    "read_questions",
    "read_texts",
    "recalled",
    "reply",
    "retained",
    "retention",
]


def __getattr__(name: str) -> Any:
    if name not in _NEEDS_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_NEEDS_TORCH[name]}"), name)
