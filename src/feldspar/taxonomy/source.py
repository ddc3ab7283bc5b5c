"""From a path that a stranger may have made to bytes, and from bytes to text."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from feldspar.taxonomy.problems import Findings, Place

MAX_BYTES = 2_000_000
"""A leaf's file; the largest in the public InstructLab taxonomy is below 100 kB."""
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_WIDE = (b"\xff\xfe", b"\xfe\xff")
# What YAML 1.1 does not print, and what Python calls a line end but no editor does.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def read_bytes(path: Path | str, inside: Path, limit: int, walked: bool = False) -> bytes:
    """The bytes of a plain file of at most `limit` bytes that lies inside a folder.

    Args:
        path: The file; a symbolic link is followed only as far as `inside`.
        inside: The folder that the file may not lead out of.
        limit: In bytes.
        walked: Whether the file's folder was reached from `inside` without following a link.

    Raises:
        OSError, ValueError: With a sentence that says why not; for the caller to place.
    """
    mode = os.lstat(path) if walked else None
    # Of a file that is no link, in a folder that lies inside, no part has to be resolved.
    if mode is None or not stat.S_ISREG(mode.st_mode) or not _NO_FOLLOW:
        path = Path(path).resolve(strict=True)
        if not path.is_relative_to(inside.resolve()):
            raise ValueError(f"leads out of {inside.name or 'its root'}/, to where nothing is read")
        mode = path.stat()
    if not stat.S_ISREG(mode.st_mode):
        raise ValueError("is a folder" if stat.S_ISDIR(mode.st_mode) else "is no plain file")
    if mode.st_size > limit:
        raise ValueError(f"has {mode.st_size:,} bytes, more than the {limit:,} that are read")
    # Not to hang, should a pipe have taken the file's place since; nor to follow a link that has.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _NO_FOLLOW
    with os.fdopen(os.open(path, flags), "rb", buffering=0) as file:
        data = file.read(mode.st_size + 1) or b""
        if len(data) != mode.st_size:  # it changes under us
            data += file.read(limit + 1 - len(data)) or b""
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
        if data[:2] in _WIDE:
            found.error((1, 1), "encoding", f"{name} is UTF-16", "save it as UTF-8")
            return None
        at = place_after(data[: error.start].decode("utf-8", "replace"))
        byte = data[error.start]
        found.error(at, "encoding", f"{name} is not UTF-8: byte 0x{byte:02x} here", "save it as UTF-8")
        return None
    control = _CONTROL.search(text)
    if control:
        code = f"U+{ord(control.group()):04X}"
        found.error(
            place_after(text[: control.start()]), "control-character", f"{name} holds {code}", "remove it"
        )
        return None
    return text


def place_after(before: str) -> Place:
    """The line and column that follow a text."""
    return before.count("\n") + 1, len(before) - before.rfind("\n")
