"""From the text of a `qna.yaml` to YAML nodes that know their line and column.

Everything is untrusted: nesting and the number of values are bounded while the nodes are made, aliases
before they are followed, and no tag ever makes an object. libyaml's parser is fast, but takes some texts
that PyYAML's own refuses, with which InstructLab's validator reads; where it could, PyYAML decides.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import Any

import yaml

from feldspar.taxonomy.problems import START, Findings
from feldspar.taxonomy.slips import not_yaml, place_of
from feldspar.taxonomy.source import place_after

MAX_DEPTH = 20
"""A leaf needs 5. libyaml's time grows with the square of the depth."""
MAX_NODES = 100_000
"""Values of a file, aliases counted as often as they are used."""
MAX_EXPANDED_DEPTH = 100
"""Of nesting once aliases are followed."""
MAX_SLOW = 300_000
"""Letters that PyYAML's own parser is given; it reads about one million a second."""

LOADER: type[yaml.SafeLoader] | type[yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# Where libyaml and PyYAML differ: tabs between tokens, a byte order mark within the text, and a comment
# that touches the sign of a block. They differ on a question mark within brackets, too.
_TOUCHING_COMMENT = re.compile("[|>][-+0-9]{0,2}#")

# YAML 1.1 ends lines here, too; editors and git do not.
_OTHER_ENDS = re.compile("[\x85\u2028\u2029]")
_END = re.compile("\n")
_COMMENT = re.compile("[ \t]*#")

_TAG = "tag:yaml.org,2002:"
_IMPLICIT: dict[str, list[tuple[str, re.Pattern[str]]]] = yaml.SafeLoader.yaml_implicit_resolvers


class _TooMuch(Exception):
    """More depth or values than a leaf needs."""


def compose(text: str, found: Findings) -> yaml.Node | None:
    """The root node of a YAML text; None where it is empty or, with a problem noted, unreadable.

    Args:
        text: With `\\n` for every line end, and without a byte order mark.
        found: Where the problems go.
    """
    try:
        root, aliases = _parsed(text)
    except yaml.MarkedYAMLError as error:
        not_yaml(error, text, found)
        return None
    except yaml.reader.ReaderError as error:
        before = text[: error.position] if isinstance(error.position, int) else ""
        told = f"U+{error.character:04X}" if isinstance(error.character, int) else str(error.reason)
        found.error(place_after(before), "control-character", f"the file holds {told}", "remove it")
        return None
    except (yaml.YAMLError, ValueError) as error:
        found.error(START, "yaml", f"not YAML: {type(error).__name__}", "nest less, and write plain values")
        return None
    except _TooMuch as error:
        rule, told, mark = error.args
        found.error(place_of(mark, text), rule, told, "a leaf is a mapping with a list of seeds")
        return None
    if root is not None and aliases and not _few_when_expanded(root):
        found.error(
            root,
            "too-many-values",
            f"more than {MAX_NODES:,} values once aliases are expanded",
            "write the values out instead of repeating an alias",
        )
        return None
    return root


def _parsed(text: str) -> tuple[yaml.Node | None, bool]:
    """The root node, and whether there are aliases in it."""
    slow = len(text) <= MAX_SLOW and LOADER is not yaml.SafeLoader
    nodes = _Nodes(text)
    try:
        nodes.read(LOADER)
    except yaml.YAMLError:
        # PyYAML's own words, and places, are the better ones.
        if not slow:
            raise
        nodes.disputed = True
    if nodes.disputed and slow:
        nodes = _Nodes(text)
        nodes.read(yaml.SafeLoader)
    return nodes.document, nodes.aliases


class _Nodes:
    """Makes nodes of a text's events, in one pass and within bounds."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.anchors: dict[str, yaml.Node] = {}
        self.open: list[yaml.CollectionNode] = []
        self.keys: list[yaml.Node | None] = []
        """For each open mapping, the key that waits for its value."""
        self.made = 0
        self.document: yaml.Node | None = None
        self.aliases = False
        self.disputed = (
            "\t" in text or "\ufeff" in text or ("#" in text and bool(_TOUCHING_COMMENT.search(text)))
        )
        """Whether PyYAML should be asked what it makes of the text."""
        self.starts = [0, *(end.end() for end in _END.finditer(text))] if _OTHER_ENDS.search(text) else []
        """Of each line, where the parsers count more of them than a person does."""
        self.comments = "#" in text
        self.brackets = "?" in text and ("[" in text or "{" in text)

    def read(self, loader: type[Any]) -> None:
        """Parse the text."""
        parser = loader(self.text)
        try:
            start: Any = None
            while (event := parser.get_event()) is not None:
                if self.starts:
                    event.start_mark = self.mark(event.start_mark)
                    event.end_mark = self.mark(event.end_mark)
                if isinstance(event, yaml.NodeEvent):
                    self.node(event)
                elif isinstance(event, yaml.CollectionEndEvent):
                    self.end(event)
                elif isinstance(event, yaml.DocumentStartEvent):
                    mark: Any = event.start_mark
                    if start is not None:
                        told = "expected a single document in the stream"
                        raise yaml.composer.ComposerError(told, start, "another document", mark, "documents")
                    start = mark
        finally:
            parser.dispose()

    def node(self, event: Any) -> None:
        """A value starts; a scalar and an alias end with it."""
        self.made += 1
        if self.made > MAX_NODES:
            raise _TooMuch("too-many-values", f"more than {MAX_NODES:,} values", event.start_mark)
        if isinstance(event, yaml.AliasEvent):
            self.aliases = True
            self.put(self.aliased(event))
            return
        if isinstance(event, yaml.ScalarEvent):
            node = _scalar(event)
            end: Any = event.end_mark
            if self.comments and not event.style and _COMMENT.match(self.text, end.index):
                # For `comment_after`, which tells what a comment takes away from a text.
                node.end_mark = yaml.Mark(end.name, end.index, end.line, end.column, self.text, end.index)
        else:
            node = _collection(event)
        if event.anchor is not None:
            if event.anchor in self.anchors:
                raise yaml.composer.ComposerError(
                    f"found duplicate anchor {event.anchor[:40]!r}; first occurrence",
                    self.anchors[event.anchor].start_mark,
                    "second occurrence",
                    event.start_mark,
                    "duplicate anchor",
                )
            self.anchors[event.anchor] = node
        self.put(node)
        if isinstance(node, yaml.CollectionNode):
            if len(self.open) >= MAX_DEPTH:
                raise _TooMuch("too-deep", f"nested over {MAX_DEPTH} deep", event.start_mark)
            self.open.append(node)
            self.keys.append(None)

    def mark(self, mark: Any) -> yaml.Mark:
        """A parser's mark, with the line and column of an editor."""
        line = bisect_right(self.starts, mark.index) - 1
        return yaml.Mark(mark.name, mark.index, line, mark.index - self.starts[line], None, 0)

    def aliased(self, event: Any) -> yaml.Node:
        """The node that an alias names."""
        if event.anchor not in self.anchors:
            told = f"found undefined alias {event.anchor[:40]!r}"
            raise yaml.composer.ComposerError(None, None, told, event.start_mark)
        return self.anchors[event.anchor]

    def put(self, node: yaml.Node) -> None:
        """Give a node to what is open: as a mapping's key or value, as a list's item, as the root."""
        if not self.open:
            self.document = node
        elif isinstance(self.open[-1], yaml.SequenceNode):
            self.open[-1].value.append(node)
        elif self.keys[-1] is None:
            self.keys[-1] = node
        else:
            self.open[-1].value.append((self.keys[-1], node))
            self.keys[-1] = None

    def end(self, event: Any) -> None:
        """A list or a mapping ends."""
        node = self.open.pop()
        self.keys.pop()
        node.end_mark = event.end_mark
        if self.brackets and node.flow_style and not self.disputed:
            start, end = node.start_mark, event.end_mark
            self.disputed = "?" in self.text[start.index : end.index]


# PyYAML's stubs tell libyaml's marks from its own, and then take none of them: hence `Any`.
def _scalar(event: Any) -> yaml.Node:
    tag = event.tag
    if tag is None or tag == "!":
        tag = _TAG + "str"
        if event.implicit[0]:
            for implied, pattern in _IMPLICIT.get(event.value[:1], ()):
                if pattern.match(event.value):
                    tag = implied
                    break
    return yaml.ScalarNode(tag, event.value, event.start_mark, event.end_mark, event.style)


def _collection(event: Any) -> yaml.Node:
    mapping = isinstance(event, yaml.MappingStartEvent)
    tag = event.tag if event.tag not in (None, "!") else _TAG + ("map" if mapping else "seq")
    made = yaml.MappingNode if mapping else yaml.SequenceNode
    return made(tag, [], event.start_mark, None, flow_style=event.flow_style)


def _few_when_expanded(root: yaml.Node) -> bool:
    """Whether a tree stays small with its aliases expanded; an alias within itself never does."""
    waiting, count = [(root, 0)], 0
    while waiting:
        node, depth = waiting.pop()
        count += 1
        if count + len(waiting) > MAX_NODES or depth > MAX_EXPANDED_DEPTH:
            return False
        if isinstance(node, yaml.MappingNode):
            waiting.extend((part, depth + 1) for pair in node.value for part in pair)
        elif isinstance(node, yaml.SequenceNode):
            waiting.extend((item, depth + 1) for item in node.value)
    return True
