"""What the child process does: give up its rights, read a document, answer with one line of JSON.

It is started by `process.convert`, which trusts nothing of it but that it ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable

from feldspar.taxonomy.convert.outcome import Text, Unreadable

MEMORY = 1 << 30
"""Bytes of address space, the interpreter and its libraries included."""
CPU_SECONDS = 9

_LOUD = (
    "socket.",
    "subprocess.",
    "ftplib.",
    "http.",
    "urllib.",
    "smtplib.",
    "webbrowser.",
    "tempfile.",
    "shutil.",
    "sqlite3.",
    "os.system",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.spawn",
    "os.startfile",
    "os.kill",
    "os.link",
    "os.mkdir",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.symlink",
    "os.truncate",
    "os.chmod",
    "pty.spawn",
)
"""Python's audit events of what no converter has to do."""


def main(kind: str) -> None:
    """Read a document from standard input, write what became of it to standard output."""
    # What a library prints must not stand in the answer.
    answer = os.dup(1)
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    read = _converter(kind)
    data = sys.stdin.buffer.read()
    _confine()
    told: dict[str, object]
    try:
        text = read(data)
        told = {"text": text.text, "notes": list(text.notes)}
    except Unreadable as error:
        told = {"what": error.what, "mend": error.mend}
    except MemoryError:
        told = {"what": f"needs more than {MEMORY >> 30} GiB of memory to read", "mend": "split it"}
    except RecursionError:
        told = {"what": "is nested too deep to read", "mend": "save it anew, or as Markdown"}
    except Exception as error:  # a library may raise anything on a stranger's file
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:120]
        told = {"what": f"is damaged ({reason})", "mend": "save it anew, or as Markdown"}
    with open(answer, "wb", closefd=True) as file:
        file.write(json.dumps(told, ensure_ascii=False).encode("utf-8", "replace") + b"\n")


def _converter(kind: str) -> Callable[[bytes], Text]:
    if kind == "html":
        from feldspar.taxonomy.convert import web

        return web.to_markdown
    if kind == "docx":
        from feldspar.taxonomy.convert import word

        return word.to_markdown
    if kind == "pptx":
        from feldspar.taxonomy.convert import slides

        return slides.to_markdown
    if kind == "epub":
        from feldspar.taxonomy.convert import book

        return book.to_markdown
    from feldspar.taxonomy.convert import pdf

    return pdf.to_markdown


def _confine() -> None:
    """Bound memory and time; take away writing, starting programs and, in Python, the network.

    The address space is what bounds every library here: Python's own objects, lxml's trees and PDFium's
    heap; their threads and mapped files stay below 200 MB.
    """
    with contextlib.suppress(ImportError):  # not on Windows
        import resource

        for limit, soft, hard in (
            (resource.RLIMIT_CORE, 0, 0),
            (resource.RLIMIT_FSIZE, 0, 0),
            (resource.RLIMIT_NPROC, 0, 0),
            # A second more than the signal that says which limit it was.
            (resource.RLIMIT_CPU, CPU_SECONDS, CPU_SECONDS + 1),
            (resource.RLIMIT_AS, MEMORY, MEMORY),
        ):
            _, most = resource.getrlimit(limit)
            if most != resource.RLIM_INFINITY:
                soft, hard = min(soft, most), min(hard, most)
            with contextlib.suppress(ValueError, OSError):  # a system that knows the limit, but not its use
                resource.setrlimit(limit, (soft, hard))
    sys.dont_write_bytecode = True
    roots = {os.path.realpath(path) + os.sep for path in (*sys.path, sys.prefix, sys.base_prefix) if path}
    known = tuple(roots | {path + os.sep for path in sys.path if path})

    def guard(event: str, arguments: tuple[object, ...]) -> None:
        if event.startswith(_LOUD):
            raise PermissionError(f"a converter may not: {event}")
        if event == "open" and isinstance(arguments[0], str | bytes):
            path = os.fsdecode(arguments[0])
            writes = isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if writes or not os.path.abspath(path).startswith(known):
                raise PermissionError(f"a converter may not open {path[:80]!r}")

    sys.addaudithook(guard)
