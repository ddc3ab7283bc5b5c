"""Converted texts, kept by the digest of the document's bytes, the format and what converted it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from feldspar.taxonomy.convert.outcome import Text

VERSION = 1
"""Of what this package makes of a document. Another one is converted anew."""
_MAX_BYTES = 25_000_000


def place(cache: Path, data: bytes, kind: str, packages: Sequence[str]) -> Path:
    """The file in which a document's text belongs.

    Args:
        cache: The folder for all caches of documents.
        data: The document.
        kind: Its format.
        packages: The modules that convert it, whose versions are part of the name.
    """
    versions = "".join(f"{name} {_version(name)}\n" for name in packages)
    made_by = f"{VERSION}.{hashlib.sha256(versions.encode()).hexdigest()[:8]}"
    return cache / "text" / f"{hashlib.sha256(data).hexdigest()}-{kind}-{made_by}.md"


def load(path: Path) -> Text | None:
    """A text that was kept; None where there is none, or it is not what was written."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), "rb") as file:
            data = file.read(_MAX_BYTES + 1)
        head, _, body = data.partition(b"\n")
        told = json.loads(head.removeprefix(b"<!-- ").removesuffix(b" -->"))
        if data != _file(body, told["notes"]):
            return None
        return Text(body.decode("utf-8"), tuple(told["notes"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def save(path: Path, text: Text) -> None:
    """Keep a text for the next time. Where that cannot be, the next time costs as much as this one."""
    body = text.text.encode("utf-8")
    new = path.with_name(f".{secrets.token_hex(8)}.new")
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(_file(body, text.notes))
            os.replace(new, path)
        finally:
            new.unlink(missing_ok=True)


def _file(body: bytes, notes: Sequence[str]) -> bytes:
    """What is written: a comment with the notes and a digest of all, then the text."""
    digest = hashlib.sha256(json.dumps(list(notes)).encode() + b"\n" + body).hexdigest()
    return f"<!-- {json.dumps({'notes': list(notes), 'sha256': digest})} -->\n".encode() + body


def _version(module: str) -> str:
    names = {"bs4": "beautifulsoup4", "pptx": "python-pptx"}
    try:
        return metadata.version(names.get(module, module))
    except metadata.PackageNotFoundError:
        return ""
