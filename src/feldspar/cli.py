"""The command line: one verb is parsed, makes one call, and its result is printed.

`feldspar --help` is answered from `verbs`, before anything slow is imported; the verbs themselves
are in `commands`, which hands back what is to be done. It is done here, so that every way to end has
one place: an error for a person, an interruption, a closed pipe, a defect.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import shlex
import shutil
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from feldspar.verbs import INTERRUPTED, OK, PROBLEMS, USAGE, VERBS, Job, help_text

if TYPE_CHECKING:
    from feldspar.errors import FeldsparError

_REFUSED = (errno.ENAMETOOLONG, errno.ELOOP, errno.EIO, errno.ESTALE, errno.EFBIG)
"""What a file system says of a name or of itself, wherever it says it."""

_LONG = 120
"""Characters of a place that are shown."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: The words after `feldspar`; None: the process's own.

    Returns:
        The exit code: 0, 1, 2 or 130. Nothing is raised.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        # A terminal that has no such letter shows its number, in place of a traceback.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    job: Job | None = None
    try:
        parsed = _parse(words)
        if isinstance(parsed, Job):
            job = parsed
            parsed = job.act()
        sys.stdout.flush()
        return parsed
    except KeyboardInterrupt:
        return _interrupted(words, job)
    except BrokenPipeError as error:
        return _closed_pipe(error, words, job)
    except Exception as error:
        return _failed(error, words, job)


def _parse(words: list[str]) -> int | Job:
    """The job that the words ask for, or the exit code where the answer is printed already."""
    if "_FELDSPAR_COMPLETE" not in os.environ:
        if not words or words[0] in ("--help", "-h", "help"):
            print(help_text(), end="", file=sys.stdout if words else sys.stderr)
            return OK if words else USAGE
        if words[0] in ("--version", "-V"):
            from feldspar import __version__

            print(f"feldspar {__version__}")
            return OK
        if words[0] not in VERBS and words[0] not in ("--install-completion", "--show-completion"):
            return _unknown(words[0])
    from feldspar.commands import app

    try:
        parsed = app(words, prog_name="feldspar", standalone_mode=False)
    except Exception as error:
        # The parser's own errors, by their shape: their class moves between versions of typer.
        tell = getattr(error, "format_message", None)
        if tell is None:
            raise
        _tell(f"{tell()}", f"`feldspar {words[0]} --help` says what it takes.")
        return USAGE
    return parsed if isinstance(parsed, int | Job) else OK


def _unknown(word: str) -> int:
    import difflib

    near = difflib.get_close_matches(word, VERBS, n=1)
    _tell(
        f"`{word}` is no verb of feldspar" + (f": did you mean `{near[0]}`?" if near else ""),
        "`feldspar --help` lists them.",
    )
    return USAGE


def _failed(error: Exception, words: list[str], job: Job | None) -> int:
    from feldspar.errors import FeldsparError
    from feldspar.jsonl import FULL, explain

    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        _drop_stdout()
    told = error if isinstance(error, FeldsparError) else None
    refused = error if told is None else error.__cause__
    if isinstance(refused, OSError) and refused.errno not in FULL:
        told = _unusable(refused, words, job) or told
    if told is None and isinstance(error, OSError):
        told = explain(error)
    if told is None and isinstance(error, MemoryError):
        told = FeldsparError(
            "the memory is used up", "Make batches or contexts smaller, or close other programs."
        )
    if told is None:
        kept = _keep_traceback(error, job)
        shown = " ".join(str(error).split())[:200]
        _tell(
            f"a defect in Feldspar: {type(error).__name__}: {shown}", f"The traceback, to report it: {kept}"
        )
        what, mend = "a defect in Feldspar", kept
    else:
        _tell(told.what, told.mend)
        what, mend = told.what, told.mend
    if "--json" in words or "--format=json" in words or ("--format", "json") in pairwise(words):
        _print_safely(json.dumps({"error": {"what": what, "mend": mend}}, ensure_ascii=False), sys.stdout)
    return PROBLEMS


def _unusable(error: OSError, words: list[str], job: Job | None) -> FeldsparError | None:
    """What to tell where the place that a person named is none that anything can be written to."""
    from feldspar.errors import RunError

    if isinstance(error, shutil.Error):  # a copy's errors, as (from, to, why)
        copied = error.args[0][0] if error.args and error.args[0] else ("", "a file", "cannot be copied")
        return RunError(f"{copied[1]}: {copied[2]}", "Mend that, or choose another place.")
    named = (job.out or job.folder) if job is not None else None
    told = error.filename if isinstance(error.filename, str) else ""
    place = os.path.abspath(told.removesuffix(".partial")) if told else ""
    # What is made in it or missing there is our business; the place itself is not.
    ours = [os.path.abspath(named), os.path.realpath(named)] if named is not None else []
    around = bool(place) and any(f"{one}/".startswith(f"{place.rstrip('/')}/") for one in ours)
    if error.errno is None or not (around or error.errno in _REFUSED):
        return None
    why = (error.strerror or "").lower()
    if error.errno == errno.ENOENT:
        why = "nothing can be made there"
    elif error.errno in (errno.ENOTDIR, errno.EEXIST):
        above = (str(one) for one in (Path(place), *Path(place).parents) if os.path.exists(one))
        why = f"{next(above, place)} is no folder"
    shown = str(named) if around else told
    shown = shown if len(shown) <= _LONG else f"{shown[:_LONG]}…"
    given = any(word in ("-o", "--out") or word.startswith("--out=") for word in words)
    return RunError(f"{shown}: {why}", f"Name another place{' with --out' if around and given else ''}.")


def _interrupted(words: list[str], job: Job | None) -> int:
    if job is None or job.folder is None:
        _tell("interrupted", "")
        return INTERRUPTED
    from feldspar.recipe_parts import STAGES

    done = [stage for stage in STAGES if os.path.isfile(job.folder / stage / "stage.json")]
    kept = f"complete in {job.folder}: {', '.join(done) or 'no stage yet'}"
    again = shlex.join(["feldspar", *(word for word in words if word != "--redo")])
    _tell(f"interrupted; {kept}; every reply that had arrived is kept", f"To go on where it stopped: {again}")
    return INTERRUPTED


def _closed_pipe(error: BrokenPipeError, words: list[str], job: Job | None) -> int:
    """Whoever read the output has gone (`| head`), unless the pipe was another one."""
    if not _reader_is_gone():
        return _failed(error, words, job)
    _drop_stdout()
    return PROBLEMS


def _reader_is_gone() -> bool:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        poll = select.poll()
        poll.register(sys.stdout.fileno(), select.POLLOUT)
        return any(state & select.POLLERR for _, state in poll.poll(0))
    return False


def _drop_stdout() -> None:
    """Let what waits to be printed go nowhere: the interpreter would try again on its way out."""
    with contextlib.suppress(OSError, ValueError):
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, sys.stdout.fileno())
        os.close(devnull)


def _keep_traceback(error: Exception, job: Job | None) -> str:
    import tempfile
    import time
    import traceback

    text = "".join(traceback.format_exception(error))
    name = f"defect-{time.strftime('%Y%m%d-%H%M%S')}.txt"
    folders = []
    if job is not None and job.folder is not None and os.path.isdir(job.folder):
        folders.append(job.folder)
    for folder in [*folders, Path(tempfile.gettempdir())]:
        try:
            # A name of its own in a folder that others write to, too.
            descriptor, path = tempfile.mkstemp(prefix="feldspar-", suffix=f"-{name}", dir=folder)
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
            return path
        except OSError:
            continue
    return "could not be written"


def _tell(what: str, mend: str) -> None:
    from feldspar.text import printable

    text = f"feldspar: {what}" + (f"\n{mend}" if mend else "")
    _print_safely(printable(text), sys.stderr)


def _print_safely(text: str, stream: TextIO) -> None:
    # Where there is nobody left to tell, the exit code still does.
    with contextlib.suppress(OSError, ValueError):
        print(text, file=stream, flush=True)
