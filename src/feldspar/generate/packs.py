"""Reading a prompt pack, with errors that a person can act on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from feldspar.errors import RecipeError
from feldspar.generate.pack import AVAILABLE, Pack
from feldspar.generate.pack_checks import Place, Slip, mistakes
from feldspar.generate.pack_words import Name, lines, nearest, slips

BUILT_IN = ("default", "small")
"""Packs that come with Feldspar: for a teacher that can judge, and for one that cannot."""

_MAX_BYTES = 512 * 1024
_SEE = "The packs in feldspar/generate/prompts/ show every key."


def load_pack(name: str | Path, overrides: Mapping[str, Any] | None = None) -> Pack:
    """Read a pack that comes with Feldspar, by name, or a person's own, by path.

    Args:
        name: One of `BUILT_IN`, or the path of a YAML file.
        overrides: The recipe's `generate.prompts`: single keys put over the pack's.

    Raises:
        RecipeError: There is no such pack, or it says something that it may not; the first mistakes are
            named, with what would be right.
    """
    pack, data = _read(name)
    return overridden(pack, data, overrides) if overrides else pack


def _read(name: str | Path) -> tuple[Pack, dict[str, Any]]:
    if str(name) in BUILT_IN:
        text = resources.files("feldspar.generate").joinpath("prompts", f"{name}.yaml").read_text("utf-8")
        return _parsed(text, f"{name}.yaml")
    path = Path(name)
    try:
        if path.is_file() and path.stat().st_size > _MAX_BYTES:
            raise RecipeError(
                f"{path}: larger than {_MAX_BYTES // 1024} KiB", "A pack holds prompts, not data."
            )
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        mend = f"Name a pack of Feldspar's ({', '.join(BUILT_IN)}) or the path of a YAML file."
        raise RecipeError(f"{path}: the prompt pack cannot be read: {why}", mend) from error
    return _parsed(text, str(path))


def parse_pack(text: str, file: str) -> Pack:
    """Read a pack from YAML.

    Args:
        text: The YAML.
        file: What errors call it.

    Raises:
        RecipeError: As `load_pack`.
    """
    return _parsed(text, file)[0]


def _parsed(text: str, file: str) -> tuple[Pack, dict[str, Any]]:
    try:
        # An alias can stand for a thousand others; a pack has no need of any.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            raise RecipeError(f"{file}: a YAML alias (*name)", "Write the text out where it is used.")
        data = yaml.load(text, _UniqueKeys)  # noqa: S506
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else file
        problem = getattr(error, "problem", None) or str(error)
        raise RecipeError(
            f"{place}: not a YAML file that can be read: {problem}", "Mend the YAML."
        ) from error
    if not isinstance(data, dict):
        raise RecipeError(
            f"{file}: a prompt pack is a mapping with `name` and `sections`", "See prompts/default.yaml."
        )
    data.pop("digest", None)
    digest = hashlib.sha256(text.encode()).hexdigest()

    def refusal(wrong: Sequence[Slip]) -> RecipeError:
        top = yaml.compose(text, yaml.SafeLoader)
        placed = sorted(((_line(top, slip[0]), slip) for slip in wrong), key=lambda one: one[0])
        names = [f"{file}:{line}: `{_dotted(place)}`" for line, (place, _) in placed]
        return RecipeError(lines([slip for _, slip in placed], names), _SEE)

    return _validated(data, digest, _dotted, refusal), data


def _validated(
    data: dict[str, Any], digest: str, named: Name, refusal: Callable[[Sequence[Slip]], RecipeError]
) -> Pack:
    try:
        pack = Pack.model_validate(data)
    except ValidationError as error:
        raise refusal(slips(error, data, named)) from error
    wrong = list(mistakes(pack))
    if wrong:
        raise refusal(wrong)
    return pack.model_copy(update={"digest": digest})


def _dotted(place: Place) -> str:
    return ".".join(str(part) for part in place)


def _line(node: yaml.Node | None, place: Place) -> int:
    """The line of a place's key, or of the nearest thing around it."""
    line = 1
    for part in place:
        if isinstance(node, yaml.MappingNode):
            found = [pair for pair in node.value if str(pair[0].value) == str(part)]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            found = [(item, item) for item in node.value[part : part + 1]]
        else:
            break
        if not found:
            break
        line, node = found[0][0].start_mark.line + 1, found[0][1]
    return line


def overridden(pack: Pack, data: Mapping[str, Any], overrides: Mapping[str, Any]) -> Pack:
    """A pack with single keys of it replaced.

    Args:
        pack: As it was read.
        data: What it was read from.
        overrides: Groups of keys as they stand in a pack, below `sections` (a section's name comes
            first) or beside it (`attempts`). A group joins the pack's; any other value takes its
            place, and `none` in place of a group takes it away: a step that is not taken, a check
            that is not made.

    Raises:
        RecipeError: Something that no pack may say, named with its key.
    """
    sections = {name: value for name, value in overrides.items() if name not in Pack.model_fields}
    beside = {name: value for name, value in overrides.items() if name in Pack.model_fields}
    spelled_out = beside.pop("sections", {})

    def named(place: Place) -> str:
        # A recipe may leave `sections` out.
        short = place[1:] if place[:1] == ("sections",) and len(place) > 1 else place
        whole = isinstance(spelled_out, Mapping) and short[0] in spelled_out
        return _dotted(("generate.prompts", *(place if whole else short)))

    def refusal(wrong: Sequence[Slip]) -> RecipeError:
        mend = f"`generate.prompts` is put over the pack `{pack.name}` (teacher.pack). {_SEE}"
        return RecipeError(lines(wrong, [f"`{named(place)}`" for place, _ in wrong]), mend)

    wrong: list[Slip] = [(("digest",), "is not a key of a pack")] if "digest" in beside else []
    if isinstance(spelled_out, Mapping):
        sections = {**spelled_out, **sections}
    else:
        wrong.append((("sections",), f"should be a group of keys, not {spelled_out!r}"))
    wrong += _strangers(pack, sections, named)
    if wrong:
        raise refusal(wrong)
    over = beside | {"sections": sections}
    spelled = json.dumps(over, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(f"{pack.digest} {spelled}".encode()).hexdigest()
    return _validated(_joined(data, over), digest, named, refusal)


def _joined(old: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    joined = dict(old)
    for key, value in over.items():
        before = joined.get(key)
        if value == "none" and isinstance(before, Mapping) and key not in ("schema", "json_schema"):
            del joined[key]
            if key in ("near_duplicate", "grounding"):
                joined[key] = None
        # Two ways to read a reply cannot be joined: the new one takes the old one's place.
        elif (
            isinstance(before, Mapping)
            and isinstance(value, Mapping)
            and not _other_parse(key, before, value)
        ):
            joined[key] = _joined(before, value)
        else:
            joined[key] = value
    return joined


def _other_parse(key: str, before: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    return key in ("parse", "schema", "assistant") and not before.keys() & value.keys()


def _strangers(pack: Pack, sections: Mapping[str, Any], named: Name) -> Iterator[Slip]:
    """Sections and steps that no pack has, and parts of steps that this pack lacks, in words."""

    def near(word: str, known: Iterable[str], *above: str) -> str:
        paths = {one: named((*above, one)) for one in known}
        return nearest(word, paths) or f"there are {', '.join(paths)}"

    for name, section in sections.items():
        if name not in AVAILABLE:
            below = [("sections", one, "steps", name) for one in AVAILABLE if name in AVAILABLE[one]]
            hint = f"did you mean `{named(below[0])}`?" if below else near(name, [*AVAILABLE, "attempts"])
            yield ("sections", name), f"is not a section: {hint}"
            continue
        steps = section.get("steps") if isinstance(section, Mapping) else None
        there = pack.sections[name].steps if name in pack.sections else {}
        for step, value in steps.items() if isinstance(steps, Mapping) else ():
            where = ("sections", name, "steps", step)
            if step not in AVAILABLE[name]:
                yield where, f"is not a step: {near(step, AVAILABLE[name], *where[:-1])}"
            elif step not in there and not (isinstance(value, Mapping) and "user" in value):
                yield where, "is a step that the pack lacks: give its `user`, too, or another `teacher.pack`"


class _UniqueKeys(yaml.SafeLoader):
    """PyYAML keeps the last of two equal keys; that would drop the first without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if str(key.value) in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"`{key.value}` is given twice", problem_mark=key.start_mark
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)
