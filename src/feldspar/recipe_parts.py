"""Which settings a stage's result depends on, their digest, and a difference in words.

Endpoints, the key's name, concurrency and threads are no part of any stage: a moved server or a
faster machine changes nothing. Nor is a folder: of a path only the last name counts here, because
`lab` gives every file's content as an input of the stage.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from pydantic import BaseModel

STAGES = ("1-leaves", "2-samples", "3-phases", "4-checkpoints", "model", "5-scores")
"""A run's folders, in the order in which they are made."""

_DATA = ("name", "take", "replay", "replay_fraction", "context_length", "samples", "files")
_HELD = ("path", "adapter", "columns", "config", "split", "revision", "holdout", "branch")
_LATER: Mapping[str, Any] = {
    "columns": {},
    "config": "",
    "split": "train",
    "revision": "",
    "holdout": 0,
    "branch": "foundational_skills",
}
"""Keys of a dataset that runs of earlier versions do not know, at their default."""
_LATER_GENERATE: Mapping[str, Any] = {
    "sampling": "taxonomy",
    "avoid": [],
    "turns": 1,
    "style": {},
    "language": {},
    "prompts": {},
    "judges_agree": "all",
}
"""Keys of `generate` that runs of earlier versions do not know, at their default."""
_TRAINING = ("name", "learning_rate", "warmup_steps", "batch_size", "epochs", "context_length")


def part(recipe: BaseModel, stage: str) -> dict[str, Any]:
    """The settings that a stage depends on, as plain values.

    Raises:
        KeyError: There is no such stage.
    """
    values = recipe.model_dump()
    data = _nameless(values)
    teacher, student, generate = data["teacher"], data["student"], data["generate"]
    # What may be spent changes when a run ends, not what is in it.
    del generate["budget"]
    # Texts, which may begin with a slash as paths do.
    generate["prompts"] = json.loads(json.dumps(values["generate"]["prompts"]))
    judges = [_pick(judge, ("model", "revision")) for judge in data["judges"]]
    datasets = [_without(entry, _LATER) for entry in data["foundational"]]
    # What is held out of a dataset is graded on, as held-out seeds are; its cap changes nothing there.
    held = [_pick(entry, _HELD) for entry in data["foundational"] if entry["holdout"]]
    parts: dict[str, dict[str, Any]] = {
        "1-leaves": {
            "generate": _pick(generate, ("holdout", "seed")),
            "licences": data["licences"],
            **({"foundational": held} if held else {}),
        },
        "2-samples": {
            "teacher": _pick(teacher, ("model", "revision", "context", "pack")),
            "generate": _without(generate, _LATER_GENERATE),
            **({"judges": judges} if judges else {}),
        },
        "3-phases": {
            "foundational": datasets,
            "student": _pick(student, ("model",)),
            "phases": [_pick(phase, _DATA) for phase in data["phases"]],
            "mix": data["mix"],
            "generate": _pick(generate, ("seed",)),
        },
        "4-checkpoints": {
            "student": student,
            "phases": [_pick(phase, _TRAINING) for phase in data["phases"]],
            "train": _pick(data["train"], ("precision", "checkpoints_every", "seed")),
        },
        "model": {"student": student},
        "5-scores": {"evaluate": data["evaluate"]},
    }
    return parts[stage]


def part_digest(recipe: BaseModel, stage: str) -> str:
    """SHA-256 of `part`: equal settings give equal digests, on any machine and in any folder."""
    canonical = json.dumps(part(recipe, stage), sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def difference(old: BaseModel | Mapping[str, Any], new: BaseModel | Mapping[str, Any]) -> list[str]:
    """What two recipes, or two parts, differ in: "generate.seed was 0 and is 1"."""
    flat = _flat(_values(old)), _flat(_values(new))
    # That a group was empty and is filled, or the other way round, its keys tell.
    before, after = _unlike(*flat), _unlike(*reversed(flat))
    found = []
    for key in [*after, *(key for key in before if key not in after)]:
        if key not in before:
            found.append(f"{key} is new ({_shown(after[key])})")
        elif key not in after:
            found.append(f"{key} is gone (it was {_shown(before[key])})")
        elif before[key] != after[key]:
            found.append(f"{key} was {_shown(before[key])} and is {_shown(after[key])}")
    return found


def _unlike(flat: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Without the empty groups that have keys in the other."""
    filled = [key for key, value in flat.items() if value == {}]
    filled = [key for key in filled if any(name.startswith(f"{key}.") for name in other)]
    return {key: value for key, value in flat.items() if key not in filled}


def _values(recipe: BaseModel | Mapping[str, Any]) -> Mapping[str, Any]:
    return recipe.model_dump() if isinstance(recipe, BaseModel) else recipe


def _pick(group: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: group[key] for key in keys}


def _without(group: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in group.items() if key not in defaults or value != defaults[key]}


def _nameless(value: Any) -> Any:
    """Plain values in which a path is its last name."""
    if isinstance(value, Mapping):
        return {str(key): _nameless(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_nameless(item) for item in value]
    if isinstance(value, PurePath) or (isinstance(value, str) and value.startswith("/")):
        return PurePath(value).name
    return value


def _flat(value: Any, key: str = "") -> dict[str, Any]:
    """Dotted keys and their values; an item of a list goes by its `name`, where it has one."""
    items: list[tuple[str, Any]] = []
    if isinstance(value, Mapping):
        items = [(str(name), item) for name, item in value.items()]
    elif isinstance(value, tuple | list) and any(isinstance(item, Mapping) for item in value):
        items = [
            (str(item.get("name", index)) if isinstance(item, Mapping) else str(index), item)
            for index, item in enumerate(value)
        ]
    if not items:
        return {key: list(value) if isinstance(value, tuple) else value}
    flat: dict[str, Any] = {}
    for name, item in items:
        flat |= _flat(item, f"{key}.{name}" if key else name)
    return flat


def _shown(value: object) -> str:
    text = "empty" if value in ("", [], None) else str(value)
    return text if len(text) <= 60 else text[:59] + "…"
