"""`feldspar init`: the first project, copied from the example that ships with the package."""

from __future__ import annotations

from pathlib import Path

from feldspar.errors import RunError
from feldspar.jsonl import writing

EXAMPLE = "first-lab"


def example() -> Path:
    """The example's folder: in an installed package beside this file, in a checkout under `examples/`.

    Raises:
        RunError: It is in neither place.
    """
    here = Path(__file__).resolve().parent
    for folder in (here / "examples" / EXAMPLE, here.parents[1] / "examples" / EXAMPLE):
        if (folder / "recipe.yaml").is_file():
            return folder
    raise RunError("the example project is missing from this installation", "Install feldspar anew.")


def create(folder: Path) -> tuple[str, ...]:
    """Write a project to edit: a recipe, and a taxonomy with a leaf of each kind.

    The recipe is written last: where it stands, the project is whole.

    Args:
        folder: New, or empty.

    Returns:
        The files written, relative to `folder`, in order.

    Raises:
        RunError: The folder holds something, or cannot be written.
    """
    if folder.is_file():
        raise RunError(f"{folder} is a file", "Name a new folder.")
    with writing(folder):
        if folder.is_dir() and any(folder.iterdir()):
            raise RunError(f"{folder} is not empty: nothing was written", "Name a new or an empty folder.")
        source = example()
        names = sorted(_files(source), key=lambda name: (name == "recipe.yaml", name))
        for name in names:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((source / name).read_bytes())
    return tuple(names)


def _files(source: Path) -> list[str]:
    names = []
    for path in source.rglob("*"):
        inside = path.relative_to(source)
        hidden = any(part.startswith((".", "__")) for part in inside.parts)
        # A checkout's example may have been run in place.
        if path.is_file() and not path.is_symlink() and not hidden and inside.parts[0] != "runs":
            names.append(inside.as_posix())
    return names
