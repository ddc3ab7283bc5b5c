"""What a recipe's lists hold: foundational datasets, licences (§3.1), judges (§3.2.1)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, PlainValidator, model_validator
from pydantic import ValidationInfo as Info

from feldspar.recipe_fields import (
    CONFIG,
    AutoOrCount,
    Endpoint,
    Label,
    ServedName,
    VariableName,
    absolute,
    label,
)
from feldspar.spdx import known, nearest, spdx
from feldspar.types import Branch

_COLUMN_ROLES = ("user", "assistant", "system", "context")
_ROW_FILES = (".jsonl", ".ndjson", ".json", ".parquet", ".gz")
_HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_HUB_NAME = re.compile(r"|[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*")


def _dataset(value: object, info: Info) -> Path | str:
    """A path made absolute; or an id on Hugging Face, which has an id's form and is nothing here."""
    path = absolute(value, info)
    if not isinstance(value, str) or value.lower().endswith(_ROW_FILES) or path.exists():
        return path
    # `data/rows` beside an own folder `data` is a slip, not the data of somebody named so.
    slip = path.parent.is_dir()
    return value if _HUB_ID.fullmatch(value) and not slip else path


def _columns(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping) or not set(value) <= set(_COLUMN_ROLES):
        raise ValueError(f"should map {', '.join(_COLUMN_ROLES)} to columns of the rows")
    return {str(role): label(column) for role, column in value.items()}


def _hub_name(value: object) -> str:
    name = label(value)
    if not _HUB_NAME.fullmatch(name) or ".." in name:
        raise ValueError("should be a name of letters, digits, -, _, . and /")
    return name


def dataset_name(path: Path | str, config: str, split: str) -> str:
    """What a dataset's rows are called: the file's or folder's name, or the id, and what is chosen of it."""
    name = path if isinstance(path, str) else path.name
    if isinstance(path, Path) and not path.is_dir():
        name = Path(path.stem if path.suffix.lower() == ".gz" else path.name).stem
    return "/".join(part for part in (name, config, "" if split == "train" else split) if part)


def check_dataset(
    path: Path | str, adapter: str, columns: Mapping[str, str], chosen: Mapping[str, str]
) -> None:
    """Make sure that the keys of a dataset fit each other.

    Args:
        path: A path, or an id on Hugging Face.
        adapter: Its adapter.
        columns: What is mapped.
        chosen: Its config, split and revision, those that are not the default.

    Raises:
        ValueError: Some do not, in words.
    """
    if columns and adapter != "columns":
        raise ValueError(f"has `columns`, which `adapter: {adapter}` does not read: write `adapter: columns`")
    if adapter == "columns" and not all(columns.get(role) for role in _COLUMN_ROLES[:2]):
        raise ValueError("has `adapter: columns`, which wants `columns: {user: …, assistant: …}`")
    if isinstance(path, Path):
        if chosen.get("revision"):
            raise ValueError("has a `revision`, which only datasets on Hugging Face have")
        key = next((key for key in ("config", "split") if chosen.get(key)), "")
        if key and path.name.lower().endswith(_ROW_FILES) and not path.is_dir():
            raise ValueError(f"has a `{key}`, and a single file has none: name its folder, or leave it out")


def _licence_name(value: object) -> str:
    found = known(value) if isinstance(value, str) else ""
    if not found or found.endswith("+"):
        raise ValueError(f"should be an SPDX identifier{_hint(value)}")
    return found


def _licence_text(value: object) -> str:
    found = spdx(value) if isinstance(value, str) else ""
    if not found:
        raise ValueError(f"should be an SPDX identifier, or several with AND and OR{_hint(value)}")
    return found


def _hint(value: object) -> str:
    near = nearest(value.strip()) if isinstance(value, str) else ""
    return f" (did you mean `{near}`?)" if near else ", such as CC-BY-4.0, or LicenseRef-Own"


DatasetPath = Annotated[Path | str, PlainValidator(_dataset)]
"""A path, made absolute; or, as a text, an id on Hugging Face."""

AdapterName = Literal[
    "auto", "messages", "sharegpt", "flan", "mathinstruct", "conala", "musique", "ilab", "columns"
]
"""How a dataset's rows become conversations; `auto`: their keys tell."""

Columns = Annotated[dict[str, str], PlainValidator(_columns)]
HubName = Annotated[str, PlainValidator(_hub_name)]
"""A configuration, split or revision; empty: the default."""

LicenceName = Annotated[str, PlainValidator(_licence_name)]
"""One SPDX identifier, or a `LicenseRef-…`."""

LicenceText = Annotated[str, PlainValidator(_licence_text)]
"""An SPDX expression."""


class DatasetSettings(BaseModel):
    """A foundational dataset that exists already (§3.1)."""

    model_config = CONFIG
    path: DatasetPath
    """A file, a folder, or an id on Hugging Face."""
    adapter: AdapterName = "auto"
    columns: Columns = Field(default_factory=dict)
    config: HubName = ""
    split: HubName = "train"
    revision: HubName = ""
    licence: str = Field("", max_length=200)
    """Empty: what the dataset's card says."""
    cap: int | None = Field(None, ge=1)
    holdout: int = Field(0, ge=0, le=10_000)
    """Rows that are graded on, and never trained on."""
    branch: Branch = "foundational_skills"

    @property
    def name(self) -> str:
        """What its rows are called in ids, and in reports."""
        return dataset_name(self.path, self.config, self.split)

    @model_validator(mode="after")
    def _fit(self) -> Self:
        split = "" if self.split == "train" else self.split
        chosen = {"config": self.config, "split": split, "revision": self.revision}
        check_dataset(self.path, self.adapter, self.columns, chosen)
        return self


class LicenceSettings(BaseModel):
    """Which documents are let in beside those of the default list (§3.1)."""

    model_config = CONFIG
    also: tuple[LicenceName, ...] = ()
    """SPDX identifiers."""
    of: dict[str, LicenceText] = Field(default_factory=dict)
    """By patterns of leaf paths, the licence of documents whose leaf does not say it readably."""


class PriceSettings(BaseModel):
    """What a million tokens cost, in any one currency; no sample depends on it."""

    model_config = CONFIG
    prompt: float = Field(0.0, ge=0, allow_inf_nan=False)
    completion: float = Field(0.0, ge=0, allow_inf_nan=False)


class BudgetSettings(BaseModel):
    """What a run's requests may take in all; reached, it is a pause."""

    model_config = CONFIG
    tokens: int | None = Field(None, ge=1)
    """Of prompts and replies."""
    cost: float | None = Field(None, gt=0, allow_inf_nan=False)
    """In the prices' currency."""


class JudgeSettings(BaseModel):
    """A model that judges in the teacher's place."""

    model_config = CONFIG
    model: ServedName
    """`embedded`, a GGUF's path, or the name that the endpoints serve."""
    endpoints: tuple[Endpoint, ...] = ()
    api_key_env: VariableName = "FELDSPAR_API_KEY"
    revision: Label = ""
    """Changed by a person where the same name serves other weights."""
    max_in_flight: AutoOrCount = "auto"
    price: PriceSettings | None = None
    """Without one, the teacher's."""


def judge_problems(judges: Sequence[JudgeSettings]) -> Iterator[tuple[int, str]]:
    """What is wrong with judges that are each in order, by their place."""
    for index, judge in enumerate(judges):
        if not judge.endpoints and judge.model != "embedded" and not judge.model.endswith(".gguf"):
            yield index, f"judge `{judge.model}` has no endpoints: give those that serve it, or a .gguf file"
        if (judge.model, judge.revision) in [(other.model, other.revision) for other in judges[:index]]:
            yield index, f"`{judge.model}` judges twice: its second verdict would be its first"
