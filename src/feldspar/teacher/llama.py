"""The child process of `embedded.serve`: a llama.cpp server that lives as long as its standard input.

Run as a file, not as a module: it needs nothing of the package, so it starts wherever the parent
found it. It says one line of JSON, `{"url": …}` or `{"error": …}`, and then nothing.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def parameters(gguf: str, alias: str, slots: int, context: int, threads: int) -> Any:
    """Everything llama.cpp is told, in one place: `xllamacpp.CommonParams`."""
    import xllamacpp

    p = xllamacpp.CommonParams()
    p.model.path = gguf
    # The name, not the path, is what replies and errors carry.
    p.model_alias = {alias}
    p.n_ctx = context * slots
    p.n_parallel = slots
    p.cpuparams.n_threads = p.cpuparams_batch.n_threads = threads
    # Same request, same bytes, whatever was asked before it: a reused prompt cache rounds
    # differently. The other three round differently by what else is in the batch, and even without
    # them one long reply of twenty could differ: only a single slot is sure (docs/experiments.md).
    p.no_extra_bufts = True
    p.cache_prompt = False
    p.kv_unified = False
    p.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    # The prompt cache may take 8 GiB of memory for what is switched off above.
    p.cache_ram_mib = 0
    p.cache_idle_slots = False
    p.hostnames = ["127.0.0.1"]
    p.port = 0
    # No web page may read answers, and nothing but the API is served.
    p.cors_origins = ""
    p.ui = False
    p.endpoint_slots = False
    # Counts of what runs and waits, which is how a teacher of several slots is kept full.
    p.endpoint_metrics = True
    p.offline = True
    # Silent: the terminal belongs to the progress display.
    p.verbosity = -1
    return p


def main(gguf: str, alias: str, slots: str, context: str, threads: str) -> None:
    """Serves until standard input ends, which it does when the parent closes it, or dies."""
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # Whatever native code prints must not reach the parent's line, or the terminal.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    try:
        import xllamacpp

        server = xllamacpp.Server(parameters(gguf, alias, int(slots), int(context), int(threads)))
        said = {"url": server.listening_address}
    except (RuntimeError, ImportError) as error:
        said = {"error": str(error)}
    with answer:
        answer.write(json.dumps(said) + "\n")
    if "url" in said:
        sys.stdin.buffer.read()
    # At once: llama.cpp's own shutdown waits, for good, for requests that are still open.
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:6])
