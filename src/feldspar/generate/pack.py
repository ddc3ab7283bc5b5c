"""What a prompt pack may say: every word that the teacher is told, and every bound a draft must keep.

A pack is a YAML file in `prompts/`, or one of a person's own. It has a section for each pipeline
(`freeform` and `grounded` skills, `knowledge`), a section has `steps`, and a step that is absent is
not taken: a pack for a small teacher has no judges, so no verdicts of judges either. `packs.py`
reads one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

_ALWAYS = ("task", "domain", "seeds")
OF_SEED = ("task", "domain", "number", "question", "answer", "context", "passage", "focus")
_OF_PASSAGE = (*_ALWAYS, "passage", "focus", "heading", "document")

AVAILABLE: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "freeform": {
        "instruction": _ALWAYS,
        "instruction_judge": (*_ALWAYS, "question"),
        "precise": (*_ALWAYS, "question"),
        "creative": (*_ALWAYS, "question"),
        "followup": (*_ALWAYS, "question", "answer", "conversation"),
        "pair_judge": (*_ALWAYS, "question", "answer"),
        "conversation_judge": (*_ALWAYS, "question", "answer", "conversation"),
    },
    "grounded": {
        "context": _ALWAYS,
        "instruction": (*_ALWAYS, "context"),
        "instruction_judge": (*_ALWAYS, "context", "question"),
        "precise": (*_ALWAYS, "context", "question"),
        "creative": (*_ALWAYS, "context", "question"),
        "followup": (*_ALWAYS, "context", "question", "answer", "conversation"),
        "pair_judge": (*_ALWAYS, "context", "question", "answer"),
        "conversation_judge": (*_ALWAYS, "context", "question", "answer", "conversation"),
    },
    "knowledge": {
        "question": _OF_PASSAGE,
        "answer": (*_OF_PASSAGE, "question"),
        "faithfulness_judge": (*_OF_PASSAGE, "question", "answer"),
    },
}
"""Which placeholders each step may use, by section: only what exists when the step is taken."""

_WRITE_IN = "Write in {language}."
_JUDGE_IN = (
    "What is judged should be in {language}: say no to it, or give it the lowest score, where it is in "
    "another language. Names and quotations may be in any."
)

_Text = Annotated[str, Field(max_length=20_000)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)


class Shot(_Strict):
    """A fixed turn and its reply, such as a rated example for a judge; nothing is filled in."""

    user: _Text
    assistant: _Text | dict[str, str | int | bool]


class Examples(_Strict):
    """How each shown seed becomes a turn and its reply; a mapping becomes a JSON object."""

    user: _Text
    assistant: _Text | dict[str, _Text]


class YesNo(_Strict):
    """A judge of several questions, each `<name>_because`, then `<name>_verdict`: yes or no."""

    yes_no: Annotated[tuple[str, ...], Field(min_length=1, strict=False)]


class Scale(_Strict):
    """A judge that gives an `explanation`, then a `score` (Figure 4)."""

    low: int = 1
    high: int = 3
    keep: int = 2
    expected: bool = False
    """Whether the mean over the scale decides, by the log-probabilities at the score's token."""
    keep_mean: float | None = Field(default=None, strict=False)
    """Least mean (an expected score, or that of several judges) that is kept; None: `keep` - 0.5."""

    @property
    def least_mean(self) -> float:
        """The least mean that is kept.

        Half a point below `keep` by default: a mean from there on rounds to `keep`, so that between
        two neighbouring scores it decides as the likelier of them would.
        """
        return self.keep - 0.5 if self.keep_mean is None else self.keep_mean

    @model_validator(mode="after")
    def _ordered(self) -> Scale:
        if not self.low < self.keep <= self.high:
            raise ValueError(
                f"a scale needs low < keep <= high, not {self.low}, {self.keep} and {self.high}: otherwise "
                "nothing could be judged out"
            )
        if not self.low < self.least_mean <= self.high:
            raise ValueError(
                f"a scale needs low < keep_mean <= high, not {self.low}, {self.least_mean} and {self.high}: "
                "otherwise nothing could be judged out"
            )
        if self.expected and not 0 <= self.low < self.high <= 9:
            raise ValueError("an expected score needs a scale within 0 to 9, where each score is one token")
        return self


class Scored(_Strict):
    """A judge that scores on a scale."""

    score: Scale


class JsonField(_Strict):
    """The text under one key of a JSON object."""

    json_field: str = Field(alias="json", min_length=1)


def _parsing(value: object) -> str | None:
    """Which of the ways to read a reply is meant: the errors are then of that one alone."""
    keys = dict(value) if isinstance(value, Mapping | BaseModel) else {}
    for key in ("json", "yes_no", "score"):
        if key in keys or (key == "json" and "json_field" in keys):
            return f"<{key}>"
    return "<word>" if value in ("text", "line") else None


def _schema(value: object) -> str | None:
    return "<schema>" if isinstance(value, Mapping) else "<word>" if value in ("auto", "none") else None


Parse = Annotated[
    Annotated[Literal["text", "line"], Tag("<word>")]
    | Annotated[JsonField, Tag("<json>")]
    | Annotated[YesNo, Tag("<yes_no>")]
    | Annotated[Scored, Tag("<score>")],
    Discriminator(_parsing),
]
JsonSchema = Annotated[
    Annotated[Literal["auto", "none"], Tag("<word>")] | Annotated[dict[str, object], Tag("<schema>")],
    Discriminator(_schema),
]


class Prompt(_Strict):
    """One request: what is said, how its reply is read, and how it is drawn."""

    system: _Text = ""
    seeds: _Text = ""
    """A template for one shown seed; all of them, a blank line between, are `{seeds}`."""
    shots: Annotated[tuple[Shot, ...], Field(strict=False)] = ()
    examples: Examples | None = None
    """A turn and a reply for each shown seed, between `shots` and `user`."""
    user: _Text
    parse: Parse = "text"
    json_schema: JsonSchema = Field(default="auto", alias="schema")
    """`auto`: what `parse` needs; `none`: the reply is not constrained; or a JSON Schema."""
    strip: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Labels that the teacher may put before a plain reply, such as "Answer:"."""
    max_tokens: int = Field(default=512, ge=1, le=65_536)
    temperature: float = Field(default=0.7, ge=0, le=2, strict=False)
    top_p: float = Field(default=0.95, gt=0, le=1, strict=False)
    stop: Annotated[tuple[str, ...], Field(strict=False, max_length=8)] = ()
    in_language: Annotated[str, Field(max_length=1000)] | None = None
    """What the system message ends with where a leaf is in another language than English, as
    `{language}`; None: the words below, empty: nothing, for a pack that is in that language itself."""

    @property
    def judges(self) -> bool:
        """Whether its reply is a verdict rather than a text."""
        return isinstance(self.parse, YesNo | Scored)

    @property
    def about_language(self) -> str:
        """The template of what is said of a leaf's language."""
        return (_JUDGE_IN if self.judges else _WRITE_IN) if self.in_language is None else self.in_language


class Bounds(_Strict):
    """What a text must keep to; lengths in words."""

    min_words: int = Field(default=1, ge=0)
    max_words: int = Field(default=2000, ge=1)
    ends_with: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """One of these must end it; empty: anything may."""
    forbid: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Whole words or phrases that must not occur, whatever their case."""
    stands_alone: bool = False
    """Whether a text is rejected that speaks of "the passage" or "the text above", in the leaf's language."""

    @model_validator(mode="after")
    def _ordered(self) -> Bounds:
        if self.min_words > self.max_words:
            raise ValueError("min_words is above max_words: every draft would be rejected")
        return self


class NearDuplicate(_Strict):
    """When a draft is too like an accepted one, or a shown seed."""

    threshold: float = Field(default=0.7, gt=0, le=1, strict=False)
    """ROUGE-L F-measure from which a text counts as a duplicate."""
    compare: Literal["instruction", "pair"] = "instruction"


class Grounding(_Strict):
    """What ties an answer to its source, a passage or a grounded skill's context, without a judge (§3.2.2).

    The shares gate where they are given; where they are not, they are recorded only.
    """

    source: Literal["passage", "focus"] = "passage"
    facts: bool = True
    """The answer's numbers and names must occur in the source."""
    answer_coverage: float | None = Field(default=None, ge=0, le=1, strict=False)
    """Least share of the answer's content words in source and question together."""
    question_coverage: float | None = Field(default=None, ge=0, le=1, strict=False)
    """Least share of the question's content words in the source."""
    adds: int = Field(default=0, ge=0)
    """Content words that the answer must have beyond the question's: no echoes."""


class Checks(_Strict):
    """The checks that need no judge."""

    instruction: Bounds = Bounds()
    context: Bounds = Bounds()
    response: Bounds = Bounds()
    repetition: bool = True
    """Whether looping texts are rejected."""
    language: bool = True
    """Whether texts that are plainly in another language than their leaf are rejected; an English leaf's
    never are, for it may ask for a line of French."""
    near_duplicate: NearDuplicate | None = NearDuplicate()
    grounding: Grounding | None = None


class Section(_Strict):
    """One pipeline's prompts and checks."""

    steps: dict[str, Prompt]
    checks: Checks = Checks()
    shown_seeds: int = Field(default=3, ge=1, le=50)
    """Seeds in a prompt, at most; draws take turns."""
    focus: Literal["passage", "sentence"] = "passage"
    """What a knowledge draw asks about: the passage as a whole, or one sentence of it."""
    focus_joins: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """First words of a sentence that needs the one before it to be understood ("It", "They")."""
    quotes: bool = False
    """Whether a knowledge answer is the focus itself, word by word: for a teacher that asks well and
    answers badly. Takes the place of the step `answer`."""


class Pack(_Strict):
    """A prompt pack."""

    name: str = Field(min_length=1, max_length=60)
    language: str = "en"
    """What the prompts are written in; a note for people."""
    attempts: int = Field(default=2, ge=1, le=10)
    """How often a reply that cannot be read is asked for, in all."""
    sections: Annotated[dict[str, Section], Field(min_length=1)]
    digest: str = ""
    """SHA-256 of the file, set by the reader."""
