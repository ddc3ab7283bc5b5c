"""The cards of what a run makes, as Hugging Face shows them: what it is from, under which licences.

Titles, names and paths in them are strangers' words: they are bounded, and are text and nothing else.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from urllib.parse import quote, urlsplit

from feldspar import jsonl
from feldspar.recipe import PhaseSettings, Recipe
from feldspar.spdx import spdx
from feldspar.stages.work import Work
from feldspar.taxonomy.licences import NOT_SAID
from feldspar.text import counted, printable
from feldspar.types import Leaf, Sample

MAX_CELL = 1_000
"""Characters of a table's cell; attributions are longer than names."""

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)

# What Hugging Face calls a licence: SPDX's identifier in small letters, for these.
_HUB_LICENCES = frozenset(
    "apache-2.0 mit cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 "
    "cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 "
    "cc-by-nc-sa-4.0 bsd-2-clause bsd-3-clause bsd-3-clause-clear isc zlib mpl-2.0 epl-1.0 epl-2.0 eupl-1.1 "
    "eupl-1.2 unlicense wtfpl ms-pl osl-3.0 ofl-1.1 ncsa postgresql artistic-2.0 afl-3.0 bsl-1.0 ecl-2.0 "
    "cdla-permissive-1.0 cdla-permissive-2.0 cdla-sharing-1.0 etalab-2.0 gfdl pddl odc-by odbl bsd "
    "agpl-3.0 gpl-2.0 gpl-3.0 lgpl-2.1 lgpl-3.0".split()
)
_HUB_NAMES = {"pddl-1.0": "pddl", "odc-by-1.0": "odc-by", "odbl-1.0": "odbl", "licenseref-bsd": "bsd"}


def dataset_card(leaves: Sequence[Leaf], samples: Iterable[Sample], teacher: str) -> str:
    """What `2-samples/README.md` says: what the samples are, and what they were made of.

    Args:
        leaves: All leaves; those that gave no sample are named as such.
        samples: The accepted ones.
        teacher: As `teacher_name` gives it.
    """
    by_leaf: Counter[str] = Counter()
    by_licence: Counter[str] = Counter()
    for sample in samples:
        by_leaf[sample.leaf] += 1
        by_licence[sample.origin.licence] += 1
    used = [leaf for leaf in leaves if by_leaf[leaf.path]]
    names = sorted({name for licence in by_licence for name in hub_licences(licence)})
    total = sum(by_leaf.values())
    return _page(
        _front(
            license="other" if "other" in names or not names else names[0] if len(names) == 1 else names,
            task_categories=["text-generation"],
            tags=["feldspar", "lab", "synthetic"],
            # Drafts and rejected ones beside them are no part of the data.
            configs=[{"config_name": "default", "data_files": "accepted.jsonl"}],
        ),
        "# Samples made with LAB",
        f"{counted(total, 'training conversation')} from {counted(len(used), 'leaf', 'leaves')} of a "
        "taxonomy, made with LAB (Large-scale Alignment for chatBots) by Feldspar. "
        f"The teacher that wrote them was {cell(teacher)}.",
        "Each line of `accepted.jsonl` is a conversation in `messages` form, with its leaf, and in `origin` "
        "its licence and, for knowledge, the place in the document that it is from. `drafts.jsonl` holds "
        "the judges' verdicts on them, `rejected.jsonl` what was not accepted, with its reason, and "
        "`funnel.json` the counts.",
        "## Licences",
        "Each sample is made of a source with one of these licences. What the licence asks, such as to name "
        "the source, goes for the sample too.",
        _table(
            ("licence", "samples"),
            ((cell(name or NOT_SAID), str(by_licence[name])) for name in sorted(by_licence)),
        ),
        "## Leaves",
        _leaves_table(leaves, by_leaf),
        *_sources(used),
    )


def model_card(work: Work) -> str:
    """What the model's README says: its source, what it was taught, under which licences."""
    leaves = tuple(jsonl.read(work.path("1-leaves", "leaves.jsonl"), Leaf))
    rows = {phase.name: _lines(work, phase.name) for phase in work.recipe.phases}
    mixed = json.loads(work.path("3-phases", "phases.json").read_text(encoding="utf-8"))
    licences = {entry["name"]: entry["licence"] for entry in mixed["datasets"]}
    return model_text(work.run.folder.name, work.recipe, leaves, rows, licences)


def model_text(
    name: str, recipe: Recipe, leaves: Sequence[Leaf], rows: Mapping[str, int], licences: Mapping[str, str]
) -> str:
    """The model's card.

    Args:
        name: The run's.
        recipe: The run's.
        leaves: What it was taught.
        rows: How many samples each phase trained on, by its name.
        licences: Of its datasets, by their names.
    """
    datasets = [(_named(str(entry.path)), licences.get(entry.name, "")) for entry in recipe.foundational]
    base = _named(recipe.student.model)
    front: dict[str, object] = {"library_name": "transformers", "pipeline_tag": "text-generation"}
    if _HUB_ID.fullmatch(base):
        front["base_model"] = base
    if ids := [dataset for dataset, _ in datasets if _HUB_ID.fullmatch(dataset)]:
        front["datasets"] = ids
    parts = [
        _front(**front, tags=["feldspar", "lab"]),
        f"# {cell(name)}",
        f"Tuned from {cell(base)} with LAB (Large-scale Alignment for chatBots) by Feldspar. "
        f"The teacher was {cell(teacher_name(recipe))}.",
        "## Phases",
        _phases_table(recipe.phases, rows),
        "## Licences",
        "The base model has a licence of its own. What the model was taught has these:",
        _leaves_table(leaves, None),
        *_sources(leaves),
    ]
    if datasets:
        cells = ((cell(dataset), _licence_cell(licence)) for dataset, licence in datasets)
        parts += ["## Datasets", _table(("dataset", "licence"), cells)]
    return _page(*parts)


def teacher_name(recipe: Recipe) -> str:
    """The teacher as a card names it, with its revision."""
    revision = recipe.teacher.revision
    return _named(recipe.teacher.model) + (f" ({revision})" if revision else "")


def hub_licences(licence: str) -> list[str]:
    """What Hugging Face calls the licences of an expression; `other` for what it has no name for."""
    if not (expression := spdx(licence)) or " OR " in expression or " WITH " in expression:
        return ["other"]
    found = []
    for name in expression.replace("(", "").replace(")", "").split(" AND "):
        small = name.casefold()
        small = "gfdl" if small.startswith("gfdl-") and "-invariants" not in small else small
        small = re.sub(r"^([al]?gpl-\d\.\d)-(?:only|or-later)$", r"\1", small)
        small = _HUB_NAMES.get(small, small)
        found.append(small if small in _HUB_LICENCES else "other")
    return found


def cell(text: str) -> str:
    """Somebody's text as Markdown that shows it in one line, and does nothing else."""
    flat = printable(" ".join(text.split()))
    flat = flat if len(flat) <= MAX_CELL else flat[: MAX_CELL - 1] + "…"
    flat = flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("|", "&#124;")
    flat = re.sub(r"([\\`*_\[\]~$])", r"\\\1", flat)
    # GitHub's Markdown makes links of bare addresses.
    return flat.replace("://", ":&#47;/").replace("www.", "www&#46;")


def link(text: str, address: str) -> str:
    """A link where the address is one of the web, else both as text."""
    try:
        parts = urlsplit(address)
        good = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
    except ValueError:
        good = False
    if not good or len(address) >= MAX_CELL:
        return ", ".join(cell(part) for part in (text, address) if part.strip())
    # Without semicolons no entity is in it, which Markdown would resolve.
    written = quote(address, safe="%/:?#@!$&'()*+,=~-._")
    return f"[{cell(text) or 'link'}](<{written}>)"


def _named(text: str) -> str:
    """A model or a dataset without its folder: where it lies is nobody's business."""
    return PurePath(text).name if text.startswith(("/", ".", "~")) else text


def _lines(work: Work, phase: str) -> int:
    with work.path("3-phases", f"{phase}.jsonl").open("rb") as file:
        return sum(1 for _ in file)


def _licence_cell(licence: str) -> str:
    return cell(spdx(licence) or licence or NOT_SAID)


def _leaves_table(leaves: Sequence[Leaf], counts: Mapping[str, int] | None) -> str:
    head = ("leaf", "branch", "licence", "written by", *(("samples",) if counts is not None else ()))
    rows = []
    for leaf in leaves:
        cells = (cell(leaf.path), leaf.branch, _licence_cell(leaf.licence), cell(leaf.created_by))
        rows.append(cells if counts is None else (*cells, str(counts.get(leaf.path, 0))))
    return _table(head, rows)


def _sources(leaves: Sequence[Leaf]) -> list[str]:
    """The documents and the works that leaves are taken from, as tables with their headings."""
    documents = [
        (cell(leaf.path), cell(document.path), _licence_cell(document.licence or leaf.licence))
        for leaf in leaves
        for document in leaf.documents
    ]
    works = [
        (
            cell(leaf.path),
            link(work.title, work.link) + (f" ({link('revision', work.revision)})" if work.revision else ""),
            cell(work.creators or NOT_SAID),
            _licence_cell(work.licence),
        )
        for leaf in leaves
        for work in leaf.works
    ]
    parts = []
    if documents:
        parts += ["## Documents", _table(("leaf", "document", "licence"), documents)]
    if works:
        parts += ["## Attributions", _table(("leaf", "work", "creators", "licence"), works)]
    return parts


def _phases_table(phases: Sequence[PhaseSettings], rows: Mapping[str, int]) -> str:
    head = ("phase", "from", "replayed", "samples in all", "epochs", "learning rate", "batch")
    cells = (
        (
            phase.name,
            ", ".join(f"{take.branch}/{take.length}" for take in phase.take) or "files",
            ", ".join(phase.replay) or "none",
            str(rows.get(phase.name, 0)),
            str(phase.epochs),
            f"{phase.learning_rate:g}",
            str(phase.batch_size),
        )
        for phase in phases
    )
    return _table(head, cells)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _front(**values: object) -> str:
    """The card's metadata; JSON is YAML too."""
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    return "\n".join(("---", *lines, "---"))


def _page(*parts: str) -> str:
    return "\n\n".join(parts) + "\n"
