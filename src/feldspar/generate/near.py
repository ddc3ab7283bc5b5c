"""Stand-in by the integrator until G1's index is here: G1, overwrite this file whole."""

from __future__ import annotations

from pathlib import Path

from feldspar.generate.checks import Known, known, twin


class Nearest:
    def __init__(self, path: Path | None = None) -> None:
        self._known: dict[str, list[Known]] = {}

    def closest(self, leaf: str, parts: tuple[str, ...], threshold: float) -> tuple[str, float] | None:
        like = twin(parts, self._known.get(leaf, ()), threshold)
        return (like[0].name, like[1]) if like else None

    def add(self, leaf: str, name: str, parts: tuple[str, ...]) -> None:
        self._known.setdefault(leaf, []).append(known(name, parts))

    def close(self) -> None:
        pass
