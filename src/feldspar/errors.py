"""Every exception that Feldspar raises on purpose, as one tree.

::

    FeldsparError                 says what, where and the mend, in one or two lines
    ├── RecipeError               a recipe that cannot be read, or asks for what cannot be
    ├── TaxonomyError             a taxonomy from which nothing can be made
    ├── DatasetError              a foundational dataset, or a question file, that cannot be read
    ├── TeacherError              the teacher cannot be reached, refuses, or is not what was asked for
    │   ├── TeacherUnavailable    worth another try: overload, transport, a time-out
    │   ├── TeacherRefused        this one request is refused, by a server that answers others
    │   ├── NotStored             only what is stored may be used, and this reply is not
    │   ├── BudgetSpent           a pause: the run's budget of tokens or money is reached
    │   └── JournalError          the journal is locked, damaged or of another version
    ├── StudentError              a student that cannot be loaded, or has no tokenizer or template
    └── RunError                  a run folder that does not fit: other recipe, other inputs, full disk
"""

from __future__ import annotations


class FeldsparError(Exception):
    """An error for a person: `what` went wrong and where, and the `mend`.

    Printed as one or two lines; a traceback never reaches a user.
    """

    def __init__(self, what: str, mend: str = "") -> None:
        super().__init__(f"{what}\n{mend}" if mend else what)
        self.what = what
        self.mend = mend


class RecipeError(FeldsparError):
    """A recipe that cannot be read, or that asks for what cannot be."""


class TaxonomyError(FeldsparError):
    """A taxonomy from which nothing can be made."""


class DatasetError(FeldsparError):
    """A foundational dataset, or a question file, that cannot be read."""


class TeacherError(FeldsparError):
    """The teacher cannot be reached, refuses, or is not what was asked for."""


class TeacherUnavailable(TeacherError):
    """A fault worth another try: overload, transport, a time-out."""


class NotStored(TeacherError):
    """A request that no reply is stored for, where nobody may be asked."""


class BudgetSpent(TeacherError):
    """The run's budget of tokens or money is reached: a pause, which a higher budget ends."""


class TeacherRefused(TeacherError):
    """This one request is refused (a content filter, a prompt too long) by a server that answers others."""


class JournalError(TeacherError):
    """The journal is locked, damaged or of another version."""


class StudentError(FeldsparError):
    """A student that cannot be loaded, or lacks its tokenizer or template."""


class RunError(FeldsparError):
    """A run folder that does not fit: another recipe, other inputs, a full disk."""
