"""Which files of a dataset hold the wanted rows, and under which licence: its card, and the files' names.

A dataset's folder is laid out as Hugging Face documents it: the front matter of README.md says the
licence and, in `configs`, the files of each configuration and split; without it, the split stands in
the names of files and folders. Both are read as data: nothing of a dataset is ever run.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import PurePosixPath

import yaml

from feldspar.errors import DatasetError
from feldspar.mix.tables import SUFFIXES, refused
from feldspar.text import printable

LARGEST_CARD = 2_000_000
"""Bytes of README.md that are read."""

_LARGEST_BLOCK = 256_000
_MOST_PARTS = 32
_KEYS = ("license", "license_name", "configs")
# Names on the hub that are no SPDX identifiers; those are, but for their case.
_LICENCES = {"odc-by": "ODC-By-1.0", "odbl": "ODbL-1.0", "pddl": "PDDL-1.0", "gfdl": "GFDL-1.3-or-later"}
_NO_LICENCES = ("unknown", "other", "none", "")
_DESCRIBING = ("dataset_infos.json", "dataset_info.json", "dataset_dict.json", "state.json", "package.json")
_SPLITS: Mapping[str, str] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}
_SHARD = re.compile(r"(?P<split>\w+)-\d{5}-of-\d{5}")
_TOP_KEY = re.compile(r"^(?=[A-Za-z_\"'])", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Config:
    """A configuration that a card lists."""

    name: str
    default: bool
    folder: str
    """`data_dir`: where its files are; empty: anywhere."""
    patterns: Mapping[str, tuple[str, ...]]
    """Split to patterns of files; empty: the names tell."""


@dataclass(frozen=True, slots=True)
class Card:
    """What a dataset says of itself."""

    licence: str = ""
    """An SPDX identifier but for its case, or what stands in its place; empty: not said."""
    configs: tuple[Config, ...] = ()


def read_card(text: str, where: str) -> Card:
    """The card in a README's front matter; one without says nothing.

    Raises:
        DatasetError: The front matter is not YAML, or not of the documented form.
    """
    found = re.match(r"\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*\r?$", text, re.DOTALL | re.MULTILINE)
    if not found:
        return Card()
    # The rest of a front matter can be megabytes of statistics.
    blocks = (block for block in _TOP_KEY.split(found[1]) if block.startswith(_KEYS))
    wanted = "".join(blocks)
    try:
        if len(wanted) > _LARGEST_BLOCK:
            raise _odd(where, "its licence and configs are longer than 256 kB")
        node = yaml.compose(wanted, Loader=yaml.SafeLoader)
        if node is None:
            return Card()
        top = _mapping(node, where)
        configs = tuple(_config(entry, where) for entry in _items(top["configs"])) if "configs" in top else ()
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _odd(where, "its front matter is not YAML") from error
    return Card(_licence(top), configs)


def _odd(where: str, told: str) -> DatasetError:
    return DatasetError(f"{where}: {told}", "Mend the card, or name the dataset's files themselves.")


def _licence(top: Mapping[str, yaml.Node]) -> str:
    said = [one.strip() for one in _texts(top.get("license"))]
    if said in (["other"], ["unknown"]) and "license_name" in top:
        said = [one.strip() for one in _texts(top["license_name"])]
    known = [_LICENCES.get(one.lower(), one) for one in said if one.lower() not in _NO_LICENCES]
    return printable(" AND ".join(known))[:200] if len(known) == len(said) else ""


def _config(node: yaml.Node, where: str) -> Config:
    entry = _mapping(node, where)
    name = "".join(_texts(entry.get("config_name"))) or "default"
    folder = "".join(_texts(entry.get("data_dir"))).removeprefix("./").rstrip("/")
    patterns: dict[str, tuple[str, ...]] = {}
    files = entry.get("data_files")
    if isinstance(files, yaml.MappingNode):
        patterns = {split: _texts(value) for split, value in _mapping(files, where).items()}
    elif files is not None:
        loose: list[str] = []
        for item in _items(files) if isinstance(files, yaml.SequenceNode) else [files]:
            if isinstance(item, yaml.MappingNode):
                parts = _mapping(item, where)
                split = "".join(_texts(parts.get("split"))) or "train"
                patterns[split] = (*patterns.get(split, ()), *_texts(parts.get("path")))
            else:
                loose += _texts(item)
        if loose:
            patterns["train"] = (*patterns.get("train", ()), *loose)
    for pattern in (folder, *(one for many in patterns.values() for one in many)):
        _within(pattern, where)
    return Config(name, "".join(_texts(entry.get("default"))).lower() == "true", folder, patterns)


def _within(pattern: str, where: str) -> None:
    parts = PurePosixPath(pattern).parts
    if pattern.startswith(("/", "~")) or ".." in parts or re.search(r"[:\\\0]", pattern):
        told = f"its card names `{printable(pattern[:80])}`, which is outside the dataset"
        raise DatasetError(f"{where}: {told}", "Such a file is never read: name the files themselves.")
    if len(parts) > _MOST_PARTS:
        raise _odd(where, "its card names a path of too many parts")


def _mapping(node: yaml.Node, where: str) -> dict[str, yaml.Node]:
    if not isinstance(node, yaml.MappingNode):
        raise _odd(where, "its front matter, or an entry of its configs, is no mapping")
    return {key.value: value for key, value in node.value if isinstance(key, yaml.ScalarNode)}


def _items(node: yaml.Node) -> list[yaml.Node]:
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _texts(node: yaml.Node | None) -> tuple[str, ...]:
    """A text, or the texts of a list."""
    nodes = [node] if isinstance(node, yaml.ScalarNode) else _items(node) if node is not None else []
    return tuple(str(one.value) for one in nodes if isinstance(one, yaml.ScalarNode))


def choose(names: Sequence[str], card: Card, config: str, split: str, where: str) -> tuple[str, ...]:
    """The files that hold a configuration's split, in order.

    Args:
        names: All files of the dataset, relative, with `/`.
        card: What its README says.
        config: One of the card's; without such a card, a folder, or a word of the files' names;
            empty: the card's default one, or all files.
        split: `train`, or another.
        where: The dataset, for errors.

    Raises:
        DatasetError: There is no such configuration or split, or no file of rows; it names what there is.
    """
    plain = [name for name in sorted(names) if not re.search(r"(^|/)(\.|__)", name)]
    folder = ""
    if card.configs:
        picked = _picked(card.configs, config, where)
        if picked.patterns:
            return _listed(plain, picked, split, where)
        folder, config = picked.folder, ""
    within = f"{folder}/" if folder else ""
    data = [name for name in plain if name.lower().endswith(SUFFIXES) and name.startswith(within)]
    data = [name for name in data if PurePosixPath(name).name not in _DESCRIBING]
    if not data:
        raise _no_rows(plain, where)
    if config:
        word = re.compile(rf"(?<![A-Za-z0-9]){re.escape(config)}(?![A-Za-z0-9])")
        named = [name for name in data if word.search(name)]
        if not named:
            raise _none(where, f"configuration `{config}`", "config", (_label(name) for name in data))
        data = named
    return _of_split(data, split, where)


def _picked(configs: Sequence[Config], wanted: str, where: str) -> Config:
    if wanted:
        found = [one for one in configs if one.name == wanted]
    else:
        found = [one for one in configs if one.default] or [one for one in configs if one.name == "default"]
        found = found or list(configs if len(configs) == 1 else ())
    if not found:
        told = f"configuration `{wanted}`" if wanted else f"default among its {len(configs)} configurations"
        raise _none(where, told, "config", (one.name for one in configs))
    return found[0]


def _listed(names: Sequence[str], config: Config, split: str, where: str) -> tuple[str, ...]:
    if split not in config.patterns:
        raise _none(where, f"split `{split}`", "split", config.patterns)
    prefix = f"{config.folder}/" if config.folder else ""
    wanted = [prefix + pattern.removeprefix("./") for pattern in config.patterns[split]]
    found = tuple(name for name in names if any(matches(name, pattern) for pattern in wanted))
    if not found:
        shown = printable(", ".join(wanted)[:80])
        raise DatasetError(f"{where}: its card names {shown}, and no file is called so", "Fetch it again.")
    odd = [name for name in found if not name.lower().endswith(SUFFIXES)]
    if odd:
        raise _no_rows(odd, where)
    return found


def _of_split(names: Sequence[str], split: str, where: str) -> tuple[str, ...]:
    splits = {name: split_of(name) for name in names}
    if not any(splits.values()):
        splits = dict.fromkeys(names, "train")
    found = tuple(name for name in names if splits[name] == split)
    if not found:
        raise _none(where, f"split `{split}`", "split", filter(None, splits.values()))
    return found


def split_of(name: str) -> str:
    """The split that a file's name, or else its folders, tell; nothing where they do not."""
    for part in reversed(PurePosixPath(name).parts):
        shard = _SHARD.match(part)
        if shard:
            return _SPLITS.get(shard["split"].lower(), shard["split"])
        for word in re.split(r"[^A-Za-z]+", part):
            if word.lower() in _SPLITS:
                return _SPLITS[word.lower()]
    return ""


def matches(name: str, pattern: str) -> bool:
    """Whether a path fits a pattern; `*` stays within a folder, `**` alone is any number of folders."""
    parts, wanted = name.split("/"), pattern.split("/")

    @cache
    def fits(at: int, step: int) -> bool:
        if step == len(wanted):
            return at == len(parts)
        if wanted[step] == "**":
            return fits(at, step + 1) or (at < len(parts) and fits(at + 1, step))
        return at < len(parts) and fnmatchcase(parts[at], wanted[step]) and fits(at + 1, step + 1)

    return len(parts) <= _MOST_PARTS and fits(0, 0)


def _label(name: str) -> str:
    """What one would write to tell a file from others: its folder, else its name."""
    folder, _, file = name.rpartition("/")
    return folder or file.partition(".")[0]


def _none(where: str, lacking: str, key: str, there: Iterable[str]) -> DatasetError:
    names = list(dict.fromkeys(there))
    shown = printable(", ".join(name[:40] for name in names[:12])) + (", …" if len(names) > 12 else "")
    return DatasetError(f"{where}: it has no {printable(lacking)}", f"Give {key}: one of {shown}.")


def _no_rows(names: Sequence[str], where: str) -> DatasetError:
    refusals = [(name, refused(name)) for name in names]
    known = next(((name, words) for name, words in refusals if words), None)
    if known is None:
        mend = f"Rows are read from {', '.join(SUFFIXES)}."
        return DatasetError(f"{where}: it holds no file of rows", mend)
    told = f"{where}: it holds no file of rows, but {printable(known[0][:80])}, {known[1]}"
    return DatasetError(told, "Look for its Parquet copy: on the hub, `revision: refs/convert/parquet`.")
