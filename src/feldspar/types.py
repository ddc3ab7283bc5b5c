"""The nouns of LAB, as frozen records. This module imports nothing of the package.

The flow, in these nouns: a `Leaf` with its `Seed`s and `Document`s (§3.1) gives `Draft`s, each
with its `Verdict`s; an accepted draft becomes a `Sample` (§3.2); samples are dealt into
`PhaseData` (§3.3, Table 1); training a phase leaves `Checkpoint`s; a model is graded on
`Question`s, and each grade is a `Score` (§4).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Branch = Literal["knowledge", "foundational_skills", "compositional_skills"]
"""The paper's three branches (§3.1)."""

Style = Literal["precise", "creative"]
"""The two personas that write responses (§3.2.1, stage 3)."""

Length = Literal["short", "long", "all"]
"""Which length bucket of a branch a phase takes (§3.3)."""

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Seed:
    """A question and its answer, written by a person, as an example of its leaf."""

    question: str
    answer: str
    context: str = ""
    line: int = 0
    """The line in the leaf's file where the question stands, from 1; 0 if unknown."""


@dataclass(frozen=True, slots=True)
class Document:
    """A text that a knowledge leaf teaches."""

    path: str
    """Relative to the leaf's folder, with `/`."""
    text: str
    licence: str = ""
    """An SPDX identifier, or what stands in its place."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of a document that fits a prompt and stays within one heading."""

    document: str
    heading: tuple[str, ...]
    """Headings from the document's title down."""
    text: str
    start: int
    end: int
    """Character span in the document's text: `document.text[start:end] == text`."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a leaf is taken from, as its attribution.txt names it; a field is empty where it says nothing."""

    title: str = ""
    link: str = ""
    revision: str = ""
    licence: str = ""
    """An SPDX expression, or what was written where that cannot be told."""
    creators: str = ""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A task of the taxonomy: one `qna.yaml` (§3.1)."""

    path: str
    """The folder, relative to the taxonomy's root, with `/`: `knowledge/islands/orrin`."""
    branch: Branch
    task: str
    """What the leaf is about: a skill's task description, a knowledge leaf's outline."""
    seeds: tuple[Seed, ...]
    documents: tuple[Document, ...] = ()
    repo: str = ""
    """The git repository that its documents are in, where they do not lie beside it."""
    domain: str = ""
    style: Style = "precise"
    language: str = ""
    """What its samples are in, by its English name, where a recipe says so; empty: what its seeds are in."""
    turns: int = 1
    """Questions and answers of one sample, of a skill."""
    licence: str = ""
    """An SPDX expression, or what was written where that cannot be told; of several works, of all."""
    works: tuple[Work, ...] = ()
    created_by: str = ""
    version: int = 1
    file: str = ""
    """The file that was read, as it was found from where the command ran; in a run's folder, from the
    taxonomy's."""
    digest: str = ""
    """SHA-256 of all that the leaf is made of, documents included."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one judge, or one check that needs no judge, said of a draft."""

    judge: str
    keep: bool
    score: float | None = None
    """None: the judge gives no score, or its reply could not be read; never a made-up number."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a text, in characters: `text[start:end]`."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Draft:
    """One numbered draw of a leaf on its way to being a sample.

    `rejected` is empty for a draft that is still good; otherwise it is the reason's short name
    (`unparsable`, `judged out`, `ungrounded`, `near-duplicate`, …) and the last verdict tells more.
    """

    id: str
    """`<leaf path>#<draw>`, draws from 1."""
    leaf: str
    draw: int
    instruction: str = ""
    context: str = ""
    response: str = ""
    turns: tuple[Message, ...] = ()
    """What was said after the first response: the user and the assistant in turn."""
    passage: Passage | None = None
    support: tuple[Span, ...] = ()
    """For knowledge: what of the document's text the response stands on, in order."""
    seeds: tuple[int, ...] = ()
    """Which of the leaf's seeds stood in the prompt: their numbers in the leaf, from 1."""
    verdicts: tuple[Verdict, ...] = ()
    rejected: str = ""
    requests: tuple[str, ...] = ()
    """Journal keys of the requests made for it, in order: the prompts of its story."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a sample comes from."""

    kind: Literal["generated", "dataset"]
    name: str
    """The draft's id, or the dataset's file and row."""
    licence: str = ""
    document: str = ""
    start: int = 0
    end: int = 0
    """For knowledge: the document and the character span of the passage."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One training conversation; its last message is the response that is trained on."""

    id: str
    leaf: str
    branch: Branch
    messages: tuple[Message, ...]
    origin: Origin


@dataclass(frozen=True, slots=True)
class Take:
    """A branch, and which of its length buckets."""

    branch: Branch
    length: Length = "all"


@dataclass(frozen=True, slots=True)
class Phase:
    """One row of Tables 1 and 2: what is trained on, what is replayed, and how."""

    name: str
    take: tuple[Take, ...]
    replay: tuple[str, ...] = ()
    """Names of earlier phases whose data is replayed."""
    replay_fraction: float = 1.0
    learning_rate: float = 2e-5
    warmup_steps: int = 0
    """Optimizer steps of linear warm-up; the rate is constant afterwards."""
    batch_size: int = 3840
    """Samples an optimizer step, exactly, by accumulation."""
    epochs: int = 1
    context_length: int = 2048
    """Tokens; a longer sample is left out and counted."""
    samples: int | None = None
    """At most so many samples, replay included; None: all there are."""
    files: tuple[str, ...] = ()
    """JSONL files of a person's own rows in `messages` form that join this phase."""


@dataclass(frozen=True, slots=True)
class Row:
    """A sample as it stands in a phase's data."""

    sample: Sample
    replayed_from: str = ""
    """The phase it was replayed from; empty for the phase's own data."""


@dataclass(frozen=True, slots=True)
class PhaseData:
    """A phase and the rows it trains on."""

    phase: Phase
    rows: tuple[Row, ...]
    skipped: str = ""
    """Why the phase does not run ("no data"); empty if it does."""


@dataclass(frozen=True, slots=True)
class Question:
    """Something to grade a model on, which was never in its training data."""

    id: str
    group: str
    """The leaf's path, or the name of the question file."""
    question: str
    answer: str
    """The reference."""
    options: tuple[str, ...] = ()
    """Answers to choose among, the reference included; empty: the group's other references."""
    context: str = ""
    facts: tuple[str, ...] = ()
    """Key facts a free answer must hold; empty: the reference's numbers and names."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How one model did on one question."""

    question: str
    """The question's id."""
    group: str
    chosen: int | None
    """Index of the likeliest option, the reference being 0; None where there is no choice."""
    loglik: float
    """Mean log-likelihood per token of the reference, in nats."""
    tokens: int
    recall: float | None
    """Share of the key facts in the free answer; None where the reference has none."""
    text: str = ""
    """The free answer."""


@dataclass(frozen=True, slots=True)
class Score:
    """A mean over questions, with its standard error."""

    metric: str
    """`choice`, `loglik`, `recall`, `retention`."""
    group: str
    base: float
    tuned: float
    difference: float
    """tuned - base, the mean of the paired differences."""
    error: float
    """Standard error of the difference (paired); 0 with a single question."""
    count: int
    base_error: float = 0.0
    tuned_error: float = 0.0


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The student after some steps of a phase."""

    phase: str
    step: int
    epoch: int
    folder: str
    score: float | None = None
    """Mean share of the held-out references that free answers recall; None where there are none."""
    error: float | None = None
    selected: bool = False
    losses: tuple[float, ...] = field(default=())
    """Training loss of each step since the checkpoint before."""
