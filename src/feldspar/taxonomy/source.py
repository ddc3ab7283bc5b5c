"""From the bytes of a `qna.yaml` to YAML nodes that know their line and column.

Everything is untrusted: the size, the nesting and the number of values are bounded before a tree is
built, and no tag ever makes an object.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import yaml

from feldspar.taxonomy.problems import START, Findings, Place

MAX_BYTES = 2_000_000
"""A leaf's file; the largest in the public InstructLab taxonomy is below 100 kB."""
MAX_DEPTH = 20
"""A leaf needs 5. libyaml's time grows with the square of the depth, and its tree builder recurses."""
MAX_NODES = 100_000
"""Values of a file, aliases counted as often as they are used."""

_LOADER: type[yaml.SafeLoader] | type[yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# What YAML 1.1 does not print, and what Python calls a line end but no editor does.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def read_bytes(path: Path, inside: Path, limit: int) -> bytes:
    """The bytes of a plain file of at most `limit` bytes that lies inside a folder.

    Args:
        path: The file; a symbolic link is followed only as far as `inside`.
        inside: The folder that the file may not lead out of.
        limit: In bytes.

    Raises:
        OSError, ValueError: With a sentence that says why not; for the caller to place.
    """
    real = path.resolve(strict=True)
    if not real.is_relative_to(inside.resolve()):
        raise ValueError(f"leads out of {inside.name or 'its root'}/, to where nothing is read")
    mode = real.stat()
    if not stat.S_ISREG(mode.st_mode):
        raise ValueError("is a folder" if stat.S_ISDIR(mode.st_mode) else "is no plain file")
    if mode.st_size > limit:
        raise ValueError(f"has {mode.st_size:,} bytes, more than the {limit:,} that are read")
    # Not to hang, should a pipe have taken the file's place since.
    with os.fdopen(os.open(real, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"has more than the {limit:,} bytes that are read")
    return data


def why(error: Exception) -> str:
    """A read error as the end of a sentence whose subject is the file."""
    if isinstance(error, FileNotFoundError):
        return "does not exist"
    if isinstance(error, PermissionError):
        return "may not be read by this user"
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror or type(error).__name__}"
    return str(error)


def decode(data: bytes, found: Findings, name: str = "the file") -> str | None:
    """The text of UTF-8 bytes without control characters, or None with a problem noted."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = _place(data[: error.start].decode("utf-8", "replace"))
        byte = data[error.start]
        found.error(at, "encoding", f"{name} is not UTF-8: byte 0x{byte:02x} here", "save it as UTF-8")
        return None
    control = _CONTROL.search(text)
    if control:
        code = f"U+{ord(control.group()):04X}"
        found.error(_place(text[: control.start()]), "control-character", f"{name} holds {code}", "remove it")
        return None
    return text


def _place(before: str) -> Place:
    """The line and column that follow a text."""
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def compose(text: str, found: Findings) -> yaml.Node | None:
    """The root node of a YAML text; None where it is empty or, with a problem noted, unreadable."""
    try:
        if not _bounded(text, found):
            return None
        root = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = (mark.line + 1, mark.column + 1) if mark else START
        told = ", ".join(part for part in (error.context, error.problem) if part)
        found.error(at, "yaml", f"not YAML: {told or 'it cannot be parsed'}", _yaml_mend(told))
        return None
    except yaml.reader.ReaderError as error:
        before = text[: error.position] if isinstance(error.position, int) else ""
        found.error(_place(before), "yaml", f"not YAML: {error.reason}", "remove the character")
        return None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        found.error(START, "yaml", f"not YAML: {type(error).__name__}", "nest less, and write plain values")
        return None
    if root is not None and not _few_when_expanded(root):
        found.error(
            root,
            "too-many-values",
            f"more than {MAX_NODES:,} values once aliases are expanded",
            "write the values out instead of repeating an alias",
        )
        return None
    return root


def _yaml_mend(told: str) -> str:
    if "mapping values are not allowed" in told:
        return "quote a value that holds a colon followed by a blank, or write it as a block after `|`"
    if "cannot start any token" in told:
        return "indent with blanks, not tabs, and quote a value that starts with a sign"
    if "undefined alias" in told or "alias" in told:
        return "quote a value that starts with * or &"
    if "single document" in told:
        return "keep one document a file: remove the `---` between them"
    return "mind the indentation and the quotes around this line"


def _bounded(text: str, found: Findings) -> bool:
    """Whether nesting and size allow building a tree; the parser's events need no recursion."""
    depth = nodes = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        nodes += isinstance(event, yaml.NodeEvent)
        if depth > MAX_DEPTH or nodes > MAX_NODES:
            told = f"nested over {MAX_DEPTH} deep" if depth > MAX_DEPTH else f"more than {MAX_NODES:,} values"
            rule = "too-deep" if depth > MAX_DEPTH else "too-many-values"
            mark = event.start_mark
            found.error(
                (mark.line + 1, mark.column + 1) if mark else START,
                rule,
                told,
                "a leaf is a mapping with a list of seeds",
            )
            return False
    return True


def _few_when_expanded(root: yaml.Node) -> bool:
    """Whether a tree stays small with its aliases expanded; an alias within itself never does."""
    waiting, count = [root], 0
    while waiting:
        node = waiting.pop()
        count += 1
        if count + len(waiting) > MAX_NODES:
            return False
        if isinstance(node, yaml.MappingNode):
            waiting.extend(part for pair in node.value for part in pair)
        elif isinstance(node, yaml.SequenceNode):
            waiting.extend(node.value)
    return True
