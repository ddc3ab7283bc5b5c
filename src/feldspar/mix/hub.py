"""Datasets from Hugging Face, through its own library: its cache, its offline mode, its tokens.

Files are fetched and read; the loading scripts that some datasets have are never run.
"""

from __future__ import annotations

import glob
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from feldspar.errors import DatasetError
from feldspar.text import printable

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_ID = re.compile(rf"{_NAME}/{_NAME}")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")
_ROOM = 1_000_000_000
"""Bytes of the disk that stay free."""
_CARD = ("README.md", ".gitattributes")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A dataset's files at one commit, in the cache."""

    folder: Path
    commit: str
    names: tuple[str, ...]
    """The files that were asked for, relative to the folder."""


def is_id(text: str) -> bool:
    """Whether a text has the form of `owner/name`."""
    return bool(_ID.fullmatch(text)) and ".." not in text and "--" not in text


def fetch(repo: str, revision: str, choose: Callable[[Path, tuple[str, ...]], tuple[str, ...]]) -> Snapshot:
    """Bring some files of a dataset into the cache, or find them there.

    With HF_HUB_OFFLINE set, or without a network, the cache alone is used; a file that it lacks is
    an error. A branch is what it was when it was last fetched.

    Args:
        repo: `owner/name`.
        revision: A branch, tag or commit; empty: `main`.
        choose: Which files, from the folder with the card and the names of all files.

    Raises:
        DatasetError: There is no such dataset, it cannot be reached, or the disk is too small.
    """
    if revision and (not _REVISION.fullmatch(revision) or ".." in revision):
        told = f"{repo}: `{printable(revision[:60])}` is no revision"
        raise DatasetError(told, "Give a branch or a commit.")
    with _told(repo, revision):
        from huggingface_hub import constants, snapshot_download

        named = revision or None
        card = snapshot_download(repo, repo_type="dataset", revision=named, allow_patterns=list(_CARD))
        folder = Path(card)
        sizes = _sizes(repo, folder)
        names = choose(folder, tuple(sizes))
        missing = sum(sizes[name] for name in names if not (folder / name).exists())
        _room(repo, missing, constants.HF_HUB_CACHE)
        wanted = [glob.escape(name) for name in names]
        snapshot_download(repo, repo_type="dataset", revision=folder.name, allow_patterns=wanted)
    return Snapshot(folder, folder.name, names)


def _sizes(repo: str, folder: Path) -> Mapping[str, int]:
    """All files of the commit and their bytes, whether they are in the cache or not."""
    from huggingface_hub import get_cached_repo_tree
    from huggingface_hub.errors import CachedRepoTreeNotFoundError

    try:
        tree = get_cached_repo_tree(repo, repo_type="dataset", revision=folder.name)
    except CachedRepoTreeNotFoundError:
        # A cache that another version filled has no list: what is there is what there is.
        there = (file for file in folder.rglob("*") if file.is_file())
        return {file.relative_to(folder).as_posix(): 0 for file in there}
    return {file.path: file.size for file in tree}


def _room(repo: str, size: int, cache: str) -> None:
    place = next((folder for folder in (Path(cache), *Path(cache).parents) if folder.exists()), Path("/"))
    free = shutil.disk_usage(place).free
    if size and size > free - _ROOM:
        raise DatasetError(
            f"{repo}: {size / 1e9:.1f} GB would be fetched, and {free / 1e9:.1f} GB of disk are free",
            "Name one of its parts with `config`, or set HF_HOME to a larger disk.",
        )


@contextmanager
def _told(repo: str, revision: str) -> Iterator[None]:
    """Turn what the library raises into an error for a person."""
    try:
        from huggingface_hub import errors
    except ImportError as error:  # pragma: no cover - tokenizers brings it along
        raise DatasetError(
            f"{repo}: huggingface_hub is not installed here", 'Run: pip install "feldspar[datasets]"'
        ) from error
    # The library's transport has errors of its own, which are no OSErrors, and changed over time.
    transport: type[Exception] = getattr(errors, "HTTPError", OSError)
    try:
        yield
    except errors.GatedRepoError as error:
        told = f"{repo}: its owner asks for consent on its page before it can be fetched"
        raise DatasetError(told, "Give it there, and `hf auth login` here.") from error
    except errors.RepositoryNotFoundError as error:
        raise DatasetError(
            f"{repo}: there is no such file here, and no such dataset on Hugging Face that may be read",
            "Check the path in the recipe; for a private dataset, `hf auth login`.",
        ) from error
    except errors.RevisionNotFoundError as error:
        told = f"{repo}: it has no revision `{revision or 'main'}`"
        raise DatasetError(told, "Give a branch or a commit.") from error
    except errors.LocalEntryNotFoundError as error:
        raise DatasetError(
            f"{repo}: there is no such file here, and of the dataset of this name on Hugging Face, "
            "which cannot be reached, not all is in the cache",
            f"Check the path, or fetch it where there is a network: hf download --repo-type dataset {repo}",
        ) from error
    except ImportError as error:
        raise DatasetError(
            f"{repo}: huggingface_hub here is too old", 'Run: pip install --upgrade "feldspar[datasets]"'
        ) from error
    except (OSError, ValueError, RuntimeError, transport) as error:
        reason = printable(" ".join(str(error).split())[:200]) or type(error).__name__
        raise DatasetError(f"{repo}: it cannot be fetched: {reason}", "Try again later.") from error
