"""A run's folder: numbered stages, each renamed into place last, and the recipe they came from.

A stage's folder is written under a temporary name; if it exists under its own, it is complete. Its
`stage.json` holds the settings and the inputs it was made of: equal ones are skipped, different
ones refused with the difference in words, and `redo` moves that stage and what follows away.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from feldspar import recipe as recipes
from feldspar.errors import RunError
from feldspar.jsonl import writing
from feldspar.recipe import STAGES, Recipe

try:
    import fcntl
except ImportError:  # pragma: no cover - no lock where the system has none of this kind
    fcntl = None  # type: ignore[assignment]

RESUMABLE = ("4-checkpoints",)
"""Stages whose unfinished folder is worth hours, and is gone on with."""

REJUDGED = "judged again over what was stored, and draws are missing"
"""The input that a stage has which `rejudge` made and could not complete."""

_LARGE = 64 * 1024 * 1024
_MEND = "Name another folder for this run, or give --redo: it makes {stage} and what follows again."


class Run:
    """A run's folder, held by this process alone.

    Use as a context manager, or call `close`. Attributes: `folder` (absolute), `recipe` (None until
    `freeze`, for a new folder).

    Args:
        folder: Made if it is missing and `create` is set.
        create: Allow a folder that is no run yet; without, it must hold a `recipe.yaml`.
        redo: Move away what differs, in place of refusing.
        lock: False for a reader that changes nothing.

    Raises:
        RunError: The folder is somebody else's, is no run, holds a recipe that no run wrote, or another
            process works in it.
    """

    def __init__(self, folder: Path, *, create: bool = True, redo: bool = False, lock: bool = True) -> None:
        try:
            self.folder = folder.resolve()
        except RuntimeError:
            raise RunError(f"{folder} is a link that leads to itself", "Name another folder.") from None
        self.redo = redo
        self.recipe: Recipe | None = None
        self._lock: IO[str] | None = None
        self._open(create)
        if lock:
            self._lock = _take_lock(self.folder)
            shutil.rmtree(self.folder / ".aside", ignore_errors=True)
        try:
            if (self.folder / "recipe.yaml").exists():
                self.recipe = recipes.load(self.folder / "recipe.yaml")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let another process have the folder."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _open(self, create: bool) -> None:
        folder = self.folder
        if folder.exists() and not folder.is_dir():
            raise RunError(f"{folder} is a file", "Name a folder for the run with --out.")
        if (folder / "recipe.yaml").is_file():
            if create and not _begun(folder):
                raise RunError(
                    f"{folder / 'recipe.yaml'} was written by no run, and a run would overwrite it",
                    f"Name another folder for the run: {folder / 'runs' / 'first'}, say.",
                )
            return
        if not create:
            raise RunError(
                f"{folder} is no run: it has no recipe.yaml",
                f"`feldspar run RECIPE --out {folder.name}` makes one.",
            )
        foreign = [item.name for item in folder.iterdir()] if folder.exists() else []
        # A run that was killed before its first byte leaves its lock and nothing else.
        foreign = [name for name in foreign if name not in (".lock", "recipe.yaml.partial")]
        if foreign:
            raise RunError(
                f"{folder} holds other files ({', '.join(sorted(foreign)[:3])}) and is no run",
                "Name a new or an empty folder with --out.",
            )
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)

    def freeze(self, recipe: Recipe) -> None:
        """Make this the folder's recipe, before anything is asked or trained.

        A change that no finished stage depends on (endpoints, threads, a later stage's settings) is
        taken over.

        Raises:
            RunError: A finished stage, or a training under way, was made by other settings; they
                are named. With `redo`, that stage and what follows is moved away in its place.
        """
        for stage in STAGES:
            made = self._manifest(stage)
            if made is None or made["digest"] == recipes.part_digest(recipe, stage):
                continue
            words = recipes.difference(made.get("settings", {}), recipes.part(recipe, stage))
            self._differs(stage, "has other settings", words)
            break
        text = recipes.dump(recipe, self.folder)
        target = self.folder / "recipe.yaml"
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            _write(target, text)
        self.recipe = recipe

    def complete(self, stage: str) -> bool:
        """Whether a stage's folder is there, and so whole."""
        return (self.path(stage) / "stage.json").is_file()

    def path(self, stage: str) -> Path:
        """A stage's folder, whether it is there or not."""
        if stage not in STAGES:
            raise ValueError(f"{stage} is no stage of a run")
        return self.folder / stage

    def completed(self) -> tuple[str, ...]:
        """The stages that are complete, in order."""
        return tuple(stage for stage in STAGES if self.complete(stage))

    @contextmanager
    def stage(self, name: str, digest: str, inputs: Mapping[str, str]) -> Iterator[Path | None]:
        """Make a stage, or find that it is made.

        Args:
            name: One of `STAGES`.
            digest: `recipe.part_digest(recipe, name)`.
            inputs: What else it is made of: a name for a person, and a digest.

        Yields:
            A temporary folder to write into, which takes the stage's name when the block ends well;
            or None: the stage is complete from equal settings and inputs, and the block has nothing
            to do. The folder of a `RESUMABLE` stage keeps what an interrupted run left in it; that
            of any other is empty.

        Raises:
            RunError: It is there from other settings or inputs and `redo` is not set (the
                difference is named), or the disk is full.
        """
        made = self._manifest(name)
        if made is not None and (made["digest"], made["inputs"]) != (digest, dict(inputs)):
            self._refuse(name, made, digest, inputs)
            made = None
        if made is not None and self.complete(name):
            yield None
            return
        part = self._partial(name)
        with writing(part):
            if part.exists() and (name not in RESUMABLE or made is None):
                shutil.rmtree(part)
            part.mkdir(exist_ok=True)
            settings = recipes.part(self.recipe, name) if self.recipe is not None else {}
            manifest = {"digest": digest, "inputs": dict(inputs), "settings": settings}
            _write(part / "stage.json", json.dumps(manifest, ensure_ascii=False, indent=1) + "\n")
            yield part
            _sync(part)
            os.rename(part, self.path(name))
            _sync_folder(self.folder)

    def output_digest(self, stage: str) -> str:
        """SHA-256 of what a complete stage holds: the next stage's input.

        Read anew each time, so that a file that a person edited is noticed. Files of more than
        64 MiB, which are weights, count by their size.

        Raises:
            RunError: The stage is not complete.
        """
        folder = self.path(stage)
        if not self.complete(stage):
            raise RunError(f"{stage} is not made yet", "`feldspar run` makes every stage in turn.")
        total = hashlib.sha256()
        for path in sorted(item for item in folder.rglob("*") if item.is_file()):
            name = path.relative_to(folder).as_posix()
            if name == "stage.json":
                continue
            size = path.stat().st_size
            content = str(size) if size > _LARGE else hashlib.sha256(path.read_bytes()).hexdigest()
            total.update(f"{name}\0{content}\n".encode())
        return total.hexdigest()

    def _partial(self, stage: str) -> Path:
        return self.folder / f"{stage}.partial"

    def _manifest(self, stage: str) -> dict[str, Any] | None:
        """What a complete stage, or a resumable one under way, was made of."""
        folders = [self.path(stage)]
        if stage in RESUMABLE:
            folders.append(self._partial(stage))
        for folder in folders:
            try:
                made = json.loads((folder / "stage.json").read_text(encoding="utf-8"))
                if isinstance(made["digest"], str) and isinstance(made["inputs"], dict):
                    return dict(made)
            except FileNotFoundError:
                # A folder that somebody emptied or made by hand is no stage: renaming onto it would fail.
                if folder == self.path(stage) and folder.exists():
                    self._differs(stage, "was altered", ["its stage.json is gone"])
                continue
            except (ValueError, KeyError, TypeError):
                pass
            self._differs(stage, "was altered", ["its stage.json cannot be read"])
        return None

    def _refuse(self, name: str, made: Mapping[str, Any], digest: str, inputs: Mapping[str, str]) -> None:
        words = []
        if made["digest"] != digest:
            settings = recipes.part(self.recipe, name) if self.recipe is not None else {}
            words = recipes.difference(made.get("settings", {}), settings) or ["its settings differ"]
        old = made["inputs"]
        words += [f"{key} is new" for key in inputs if key not in old]
        words += [f"{key} is gone" for key in old if key not in inputs and key != REJUDGED]
        words += [f"it was {REJUDGED}"] if REJUDGED in old and REJUDGED not in inputs else []
        words += [f"{key} has changed" for key in inputs if key in old and old[key] != inputs[key]]
        self._differs(name, "was made of something else", words)

    def _differs(self, stage: str, how: str, words: list[str]) -> None:
        if self.redo:
            self._move_away(stage)
            return
        shown = "; ".join(words[:6]) + (f"; and {len(words) - 6} more" if len(words) > 6 else "")
        raise RunError(f"{self.folder.name}/{stage} {how}: {shown}", _MEND.format(stage=stage))

    def _move_away(self, first: str) -> None:
        """The last stage first: killed halfway, what is left is still a run's beginning."""
        aside = self.folder / ".aside"
        with writing(aside):
            aside.mkdir(exist_ok=True)
            for stage in reversed(STAGES[STAGES.index(first) :]):
                for folder in (self.path(stage), self._partial(stage)):
                    if folder.exists():
                        os.rename(folder, aside / folder.name)
            (self.folder / "report.html").unlink(missing_ok=True)
        shutil.rmtree(aside, ignore_errors=True)


def _begun(folder: Path) -> bool:
    """Whether a run wrote the folder's recipe: a person's own begins otherwise, and has nothing beside it."""
    if (folder / "journal.sqlite").exists():
        return True
    if any((folder / f"{stage}{ending}").is_dir() for stage in STAGES for ending in ("", ".partial")):
        return True
    # Killed before its first stage, a run leaves its recipe alone.
    try:
        with (folder / "recipe.yaml").open("rb") as file:
            return file.readline(200).decode("utf-8", "replace").strip() == f"# {recipes.OPENING}"
    except OSError:
        return True  # reading it as a recipe says why it cannot be


def _take_lock(folder: Path) -> IO[str] | None:
    path = folder / ".lock"
    with writing(path):
        file = path.open("a+", encoding="utf-8")
    if fcntl is None:
        return file
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read(20).strip()
        file.close()
        who = f" (process {holder})" if holder.isdecimal() else ""
        raise RunError(
            f"another feldspar{who} is at work in {folder}",
            "Wait until it is done, or name another folder with --out.",
        ) from None
    except OSError:
        # Some network file systems have no locks: a run there is better than none.
        return file
    file.truncate(0)
    with contextlib.suppress(OSError):
        file.write(f"{os.getpid()}\n")
        file.flush()
    return file


def _write(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".partial")
    with writing(path):
        part.write_text(text, encoding="utf-8", newline="\n")
        os.replace(part, path)


def _sync(folder: Path) -> None:
    """Have a stage's bytes on the disk before its name says that they are."""
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    # Folders cannot be opened everywhere; the rename stands without it, only less durably.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
