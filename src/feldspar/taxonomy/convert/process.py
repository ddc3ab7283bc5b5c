"""Converting in a child process, so that a stranger's file can at worst spoil its own conversion.

The child gets the bytes on its standard input and answers on its standard output. It has no more than
10 seconds, 1 GiB, no files, no programs, an empty environment and a process group of its own, which is
killed at the end.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import selectors
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any

from feldspar.taxonomy.convert.outcome import Text, Unreadable
from feldspar.text import printable

SECONDS = 9.5
"""For a whole conversion, so that it ends within 10 seconds with all that belongs to it."""
MAX_OUTPUT = 20_000_000
"""Bytes of an answer."""

# The packages above are put in place without running them: what they import costs more than many a
# conversion. -I leaves out the working directory, PYTHONPATH and the user's site; the paths that this
# process imports from are handed over instead.
_START = """
import sys, types
kind, root, *paths = sys.argv[1:]
sys.path += [path for path in paths if path not in sys.path]
for name in ("feldspar", "feldspar.taxonomy"):
    module = types.ModuleType(name)
    module.__path__ = [root + "/" + name.partition(".")[2] if "." in name else root]
    sys.modules[name] = module
from feldspar.taxonomy.convert.child import main
main(kind)
"""
_KEPT = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")
# Control characters, and what would part words that a reader sees whole: the soft hyphen, the blank of
# no width, the byte order mark.
_UNSEEN = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\xad\u200b\ufeff\ud800-\udfff\ufffe\uffff]")
_SLOW = f"takes over {SECONDS:.0f} seconds to read"
_MEND = "split it, or save it anew or as Markdown"


def convert(kind: str, data: bytes) -> Text:
    """The text of a document, read by a child process.

    Args:
        kind: `html`, `pdf`, `docx`, `pptx` or `epub`.
        data: The document.

    Raises:
        Unreadable: It has no text, or reading it took too much, or killed its reader.
    """
    root = Path(__file__).resolve().parents[2]
    # Nothing is imported from where the user stands: that may be a stranger's taxonomy.
    here = os.path.realpath(os.curdir)
    paths = [path for path in sys.path if os.path.isabs(path) and os.path.realpath(path) != here]
    end = time.monotonic() + SECONDS
    try:
        child = subprocess.Popen(
            [sys.executable, "-I", "-c", _START, kind, str(root), *paths],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=os.path.abspath(os.sep),
            env={name: os.environ[name] for name in _KEPT if name in os.environ},
            start_new_session=True,
        )
    except OSError as error:
        what = f"cannot be read: its reader does not start ({error.strerror})"
        raise Unreadable(what, "free some memory or processes") from None
    assert child.stdin is not None
    assert child.stdout is not None
    feeder = threading.Thread(target=_feed, args=(child.stdin, data), daemon=True)
    feeder.start()
    try:
        answer = _read(child.stdout, end)
        if not answer.endswith(b"\n"):
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(max(0.0, end - time.monotonic()))
    finally:
        _kill(child)
        child.stdout.close()
        feeder.join(1)
    return _outcome(answer, child.returncode)


def _feed(pipe: IO[bytes], data: bytes) -> None:
    with contextlib.suppress(OSError), pipe:  # a child that dies reads no further
        pipe.write(data)


def _read(pipe: IO[bytes], end: float) -> bytes:
    """What comes out of a pipe until it is closed, the time is over or it is too much."""
    read = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while selector.select(max(0.0, end - time.monotonic())):
            piece = os.read(pipe.fileno(), 1 << 16)
            if not piece:
                return bytes(read)
            read += piece
            if len(read) > MAX_OUTPUT:
                raise Unreadable(f"gives more than {MAX_OUTPUT:,} bytes of text", "split it")
    raise Unreadable(_SLOW, _MEND)


def _kill(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _outcome(answer: bytes, code: int) -> Text:
    """What an answer says; where there is none, what the child died of."""
    if not answer.endswith(b"\n"):
        if code == -signal.SIGXCPU:
            raise Unreadable(_SLOW, _MEND)
        if code in (-signal.SIGABRT, -signal.SIGTRAP):  # how a library ends that is refused memory
            raise Unreadable("needs more than 1 GiB of memory to read, or crashes its reader", _MEND)
        died = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        raise Unreadable(f"crashes its reader ({died})", _MEND)
    try:
        told: dict[str, Any] = json.loads(answer)
        if "text" in told:
            return Text(_plain(told["text"]), tuple(printable(note) for note in told["notes"]))
        refusal = Unreadable(printable(told["what"]), printable(told["mend"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Unreadable("crashes its reader (no answer)", _MEND) from None
    raise refusal


def _plain(text: str) -> str:
    """A text without control characters but for tabs and line ends, and without what cannot be seen."""
    return _UNSEEN.sub("", re.sub(r"\r\n|[\r\f\v]", "\n", text.replace("\xa0", " ")))
