"""What each rule of `check` is about, and how it is met: for those who see a rule's name first (SARIF).

A rule that does not stand here is told all the same; a test sees to it that each does.
"""

from __future__ import annotations

RULES: dict[str, tuple[str, str]] = {
    # The file.
    "control-character": ("A character that no text holds.", "Remove it."),
    "empty-file": ("A leaf's file says nothing.", "Write the leaf, or remove the file."),
    "empty-taxonomy": ("There is no leaf here.", "Name a folder that holds a qna.yaml, itself or below it."),
    "encoding": ("The file is not UTF-8.", "Save it as UTF-8."),
    "file-name": ("A leaf's file is named qna.yaml.", "Rename it, or move it away."),
    "link": ("Links to folders are not followed.", "Put what it leads to in its place, or remove it."),
    "too-deep": ("Values are nested deeper than a leaf needs.", "Write a mapping with a list of seeds."),
    "too-many-values": ("The file holds more values than are read.", "Write fewer; mind repeated aliases."),
    "unreadable": ("A file or folder cannot be read.", "Make it a plain file that this user may read."),
    "yaml": ("The file is not YAML.", "Mind the indentation and the quotes around the place."),
    # Keys and values.
    "blank": ("A text is blank.", "Write one."),
    "deprecated-version": (
        "Knowledge is of version 3 or later.",
        "Write version 3, or 4 with local documents.",
    ),
    "duplicate-key": ("A key stands twice in one mapping.", "Keep one of them."),
    "key-type": ("A key is no string.", "Quote it."),
    "license": ("A licence is no SPDX expression.", "Write it like CC-BY-4.0 or Apache-2.0."),
    "missing-key": ("A key is missing.", "Add it."),
    "style": ("A style is precise or creative.", "Write one of the two."),
    "type": (
        "A value is of another type than asked for.",
        "Quote texts; start the items of a list with a dash.",
    ),
    "unknown-key": ("A key is not known here.", "Mind its spelling and its place, or remove it."),
    "version": ("A version is an integer from 1 to 4.", "Write it like version: 3."),
    "wrong-branch": ("A leaf is of another kind than its branch.", "Move its folder to the other branch."),
    # Seeds and documents.
    "document": ("A document cannot be taken in.", "Name a readable one in the leaf's folder, or in git."),
    "repeated": ("A list says the same twice.", "Keep one of them."),
    "repeated-seed": ("A seed example stands twice.", "Write another one in its place."),
    "too-few": ("A list is empty.", "Name at least one."),
    "too-few-questions": (
        "A context has too few questions.",
        "Add some, or write version 4, which asks for one.",
    ),
    "too-few-seeds": (
        "There are too few seed examples.",
        "Add some, or write version 4, which asks for one.",
    ),
    # Style, from version 2 on, by yamllint's names.
    "braces": ("Blanks inside { } are none or one.", "Write {a: b}."),
    "brackets": ("Blanks inside [ ] are none or one.", "Write [a, b]."),
    "colons": ("A colon follows its key, and one blank follows it.", "Write key: value."),
    "commas": ("A comma follows its item, and one blank follows it.", "Write [a, b]."),
    "empty-lines": ("There are more empty lines than two.", "Remove some."),
    "hyphens": ("One blank follows the dash of a list's item.", "Write - item."),
    "indentation": (
        "Lines are indented otherwise than those before.",
        "Indent by the same number of blanks.",
    ),
    "new-line-at-end-of-file": ("The last line has no line break.", "Add one."),
    "new-lines": ("Lines end as on Windows.", "Save the file with Unix line ends."),
    "trailing-spaces": ("Blanks stand at the end of a line.", "Remove them."),
    # Advice.
    "attribution": ("An attribution.txt is missing.", "Say in it where the text is from, and its licence."),
    "branch-name": ("A folder is named nearly like a branch.", "Give it the branch's name."),
    "comment-in-text": ("What follows a blank and # is a comment.", "Quote the text."),
    "licence": ("A licence is not understood.", "Write an SPDX identifier, like CC-BY-4.0."),
    "own-repository": (
        "Documents come from this machine, or with your own ssh key.",
        "Go on only if you mean it: their text goes to the teacher.",
    ),
    "stays-out": (
        "The licence does not let the documents be learnt from.",
        "Say a licence that does, or let them in by the recipe.",
    ),
    "moving-commit": ("A commit is named by what can move.", "Write the commit's own id."),
    "near-seed": (
        "A seed repeats another of its leaf but for a word.",
        "Write one that shows something else.",
    ),
    "same-seed": ("A seed stands in several leaves.", "Keep it in the leaf where it belongs."),
    "stray-context": (
        "No document of the leaf holds this context.",
        "Copy it from the document as it stands.",
    ),
    "vague-task": ("A task description says nothing.", "Say in a sentence what is to be done, or known."),
}
"""Rule to what is wrong, and the mend, a sentence each."""
