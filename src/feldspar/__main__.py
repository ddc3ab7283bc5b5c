"""`python -m feldspar`, and the `feldspar` command."""

from __future__ import annotations

import sys

from feldspar.cli import main as run_command


def main() -> None:
    """Run the command line and end the process with its exit code."""
    sys.exit(run_command())


if __name__ == "__main__":
    main()
