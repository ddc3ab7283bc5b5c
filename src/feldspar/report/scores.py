"""The headline, the table of scores, retention (§4)."""

from __future__ import annotations

from feldspar.report.data import ReportData
from feldspar.report.markup import (
    ABSENT,
    PLUS_MINUS,
    element,
    escape,
    number,
    paragraph,
    plural,
    section,
    signed,
    table,
)
from feldspar.types import Score

_NAMES = {"choice": "Right choice", "loglik": "Log-likelihood", "recall": "Key facts recalled"}
_CLEAR = 2.0
"""Standard errors from which a difference is called one."""


def headline(data: ReportData) -> str:
    """What was taught, and what came of it, in a few sentences with their uncertainty."""
    knowledge = sum(leaf.branch == "knowledge" for leaf in data.leaves)
    skills = len(data.leaves) - knowledge
    parts = [plural(knowledge, "knowledge leaf", "knowledge leaves")] if knowledge else []
    parts += [plural(skills, "skill")] if skills else []
    taught = " and ".join(parts) or "No leaves"
    samples = plural(len(data.accepted), "generated sample")
    first = f"{taught}, taught with {samples}."
    return element(
        "header",
        paragraph("Feldspar run", "eyebrow"),
        element("h1", escape(data.title)),
        paragraph(first, "lead"),
        paragraph(_outcome(data), "lead outcome"),
        *(paragraph(note, "note") for note in data.notes),
    )


def _outcome(data: ReportData) -> str:
    overall = {score.metric: score for score in data.scores if score.group == _headlined(data)}
    told = []
    if chosen := overall.get("choice"):
        of = plural(chosen.count, "held-out question")
        base, tuned = _percent(chosen.base), _percent(chosen.tuned)
        told.append(
            f"The tuned model chooses the right answer to {tuned} of {of}, the base model to {base}: "
            f"{_points(chosen)} points (paired standard error). {_verdict(chosen)}"
        )
    if recalled := overall.get("recall"):
        base, tuned = _percent(recalled.base), _percent(recalled.tuned)
        told.append(
            f"In free answers the tuned model recalls {tuned} of the key facts, the base model {base}: "
            f"{_points(recalled)} points. {_verdict(recalled)}"
        )
    if not told:
        told.append("The models have not been compared on held-out questions yet.")
    if data.retention is not None and data.retention.base:
        rise = 100 * data.retention.difference / data.retention.base
        way = "rose" if rise > 0 else "fell"
        told.append(
            f"On what the model could do before, its negative log-likelihood {way} by "
            f"{number(abs(rise), 1)} %."
        )
    return " ".join(told)


def _headlined(data: ReportData) -> str:
    """The group that the headline speaks of: a file of questions where there is one, else all.

    The leaves' own held-out questions have chosen the checkpoints; a file's had no part in that.
    """
    leaves = {leaf.path for leaf in data.leaves}
    files = [group for group in dict.fromkeys(s.group for s in data.scores) if group not in leaves | {"all"}]
    return files[0] if len(files) == 1 else "all"


def _verdict(score: Score) -> str:
    if score.count < 2:
        return "One question shows nothing yet."
    if abs(score.difference) <= _CLEAR * score.error or not score.difference:
        return "That is within two standard errors: no clear difference."
    return "A clear gain." if score.difference > 0 else "A clear loss."


def scores(data: ReportData) -> str:
    """Base and tuned, group by group."""
    if not data.scores:
        return section("scores", "Scores", paragraph("Nothing has been evaluated yet.", "empty"))
    groups = list(dict.fromkeys(score.group for score in data.scores))
    if len(groups) == 2:  # a single group and `all` say the same
        groups = groups[:1]
    rows = [
        [
            element("span", escape(group), class_="path")
            + f"<br>{escape(_NAMES.get(score.metric, score.metric))}",
            _cell(score, score.base, score.base_error),
            _cell(score, score.tuned, score.tuned_error),
            element("strong", _points(score) if _is_share(score) else _change(score)),
            f"{score.count:,}",
        ]
        for group in groups
        for score in data.scores
        if score.group == group
    ]
    about = (
        "Right choice: the reference is likelier than every other option. Key facts: the share of the "
        "reference's numbers and names in a free answer. Log-likelihood: of the reference, in nats per "
        "token. Every figure has its standard error; differences are paired, question by question. "
        "Checkpoints were chosen by the leaves' own held-out questions, which flatters those rows a little; "
        "the questions of a file had no part in that."
    )
    heads = ("Questions and measure", "Base", "Tuned", "Difference", "Count")
    return section("scores", "Scores", table("Base and tuned", heads, rows), paragraph(about, "about"))


def retention(data: ReportData) -> str:
    """What the model could do before, and can still do."""
    kept = data.retention
    if kept is None:
        return section("retention", "Retention", paragraph("Retention was not measured.", "empty"))
    share = f"{signed(100 * kept.difference / kept.base, 1)} %" if kept.base else ABSENT
    row = [
        "Negative log-likelihood",
        f"{number(kept.base, 3)} {PLUS_MINUS} {number(kept.base_error, 3)}",
        f"{number(kept.tuned, 3)} {PLUS_MINUS} {number(kept.tuned_error, 3)}",
        element("strong", f"{signed(kept.difference, 3)} {PLUS_MINUS} {number(kept.error, 3)}"),
        element("strong", escape(share)),
        f"{kept.count:,}",
    ]
    about = (
        "On texts and questions of what the base model could do, in nats per token; lower is better. "
        "A rise means that training cost something."
    )
    heads = ("Measure", "Base", "Tuned", "Difference", "Relative", "Count")
    return section("retention", "Retention", table("Retention", heads, [row]), paragraph(about, "about"))


def _is_share(score: Score) -> bool:
    return score.metric in ("choice", "recall")


def _percent(value: float) -> str:
    return f"{number(100 * value, 0)} %"


def _points(score: Score) -> str:
    return f"{signed(100 * score.difference, 0)} {PLUS_MINUS} {number(100 * score.error, 0)}"


def _change(score: Score) -> str:
    return f"{signed(score.difference)} {PLUS_MINUS} {number(score.error)}"


def _cell(score: Score, value: float, error: float) -> str:
    if _is_share(score):
        return f"{number(100 * value, 0)} {PLUS_MINUS} {number(100 * error, 0)} %"
    return f"{number(value)} {PLUS_MINUS} {number(error)}"
