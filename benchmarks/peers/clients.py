"""The programs that use the simulated server: what is installed for the peers, and how all are run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import venv
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_LONGEST_INSTALL = 1800  # seconds


@dataclass(frozen=True, slots=True)
class Peer:
    """A tool from PyPI and the driver that works with it."""

    version: str
    driver: str
    packages: tuple[str, ...]


PEERS = {
    "sdg-hub": Peer("0.9.4", "with_sdg_hub.py", ("sdg-hub==0.9.4",)),
    # It imports `requests`, which none of its dependencies asks for any more.
    "distilabel": Peer("1.5.3", "with_distilabel.py", ("distilabel[openai]==1.5.3", "requests")),
    "data-designer": Peer("0.9.6", "with_data_designer.py", ("data-designer==0.9.6",)),
}


def python_of(name: str, peer: Peer) -> str:
    """The interpreter of a peer's virtual environment, which is made where there is none.

    Raises:
        RuntimeError: It cannot be installed.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "feldspar" / "benchmarks"
    folder = cache / f"{name}-{peer.version}-py{sys.version_info.major}{sys.version_info.minor}"
    python, complete = folder / "bin" / "python", folder / "complete"
    if complete.exists():
        return str(python)
    print(f"{name} {peer.version} is being installed into {folder.name}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *peer.packages]
    try:
        done = subprocess.run(install, capture_output=True, text=True, timeout=_LONGEST_INSTALL)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"not installed after {_LONGEST_INSTALL} s") from None
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise RuntimeError(f"cannot be installed: {(errors or ['pip said no more'])[-1][:300]}")
    complete.touch()
    return str(python)


def apart(folder: str) -> dict[str, str]:
    """The environment variables of a peer: a home of its own, and no way out of this machine.

    Telemetry is off by each tool's own variable; what goes out all the same meets a proxy that is not there.
    """
    nowhere = "http://127.0.0.1:9"
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    return kept | {
        "HOME": folder,
        "HTTP_PROXY": nowhere,
        "HTTPS_PROXY": nowhere,
        "http_proxy": nowhere,
        "https_proxy": nowhere,
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "NEMO_TELEMETRY_ENABLED": "false",
        "DATA_DESIGNER_DISABLE_VERSION_CHECK": "1",
    }


def told_by(command: Sequence[str], environment: Mapping[str, str], most: float) -> dict[str, Any]:
    """The JSON that a client's last line of output is.

    Raises:
        RuntimeError: It failed, or took longer than `most` seconds.
    """
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as errors:
        # Its own group, so that a peer's worker processes end with it.
        process = subprocess.Popen(
            command, stdout=said, stderr=errors, env=dict(environment), start_new_session=True
        )
        code: int | None = None
        try:
            code = process.wait(timeout=most)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"not done after {most:.0f} s") from None
        finally:
            if code != 0:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        said.seek(0)
        lines = said.read().splitlines()
        if code or not lines:
            errors.seek(0)
            last = [line for line in errors.read().splitlines() if line.strip()][-1:] or ["no words"]
            raise RuntimeError(f"exit code {code}: {last[0].strip()[:300]}")
        if not lines[-1].startswith("{"):
            raise RuntimeError(f"its last words are no figures: {lines[-1][:300]}")
        told: dict[str, Any] = json.loads(lines[-1])
        return told
