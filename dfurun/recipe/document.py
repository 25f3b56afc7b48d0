"""Text -> plain values with positions: YAML 1.2 core without tags, anchors or merge keys, read from PyYAML's events.

Nothing here recurses: a text can be malicious, and limits are checked before they can hurt.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, cast

import yaml

from dfurun.errors import Code, Finding, Place, RecipePath, Related
from dfurun.recipe.many import MAXIMUM_VALUES, is_enough
from dfurun.recipe.positions import Marks, Span
from dfurun.recipe.scalars import AmbiguousScalar, resolve_plain

MAXIMUM_DEPTH = 32

# What PyYAML's reader takes, less the line ends that only YAML 1.1 knows and a byte order mark inside the text.
_ASCII = "\t\n\x20-\x7e"
_BEYOND_ASCII = "\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff"
_NOT_TEXT = re.compile("[\ud800-\udfff]")
_LINE_BREAK = re.compile(r"\r\n?")


@dataclass(slots=True)
class Document:
    """A recipe as plain values, as far as it could be read.

    `unread` are paths whose value is not known, `incomplete` are mappings that lack entries; each has its finding.
    `whole` is False where reading stopped early.
    """

    value: Any = None
    index: dict[RecipePath, Marks] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    unread: set[RecipePath] = field(default_factory=set)
    incomplete: set[RecipePath] = field(default_factory=set)
    whole: bool = True

    def explains(self, path: RecipePath) -> bool:
        """Say whether a finding at `path` is about what could not be read, which has been said."""
        if any(path[:length] in self.unread for length in range(len(path) + 1)):
            return True
        return path in self.incomplete  # it lacks something, or is empty


@dataclass(slots=True)
class _Frame:
    """An open collection. A path of None: it is read for its mistakes only, and not kept."""

    path: RecipePath | None
    value: dict[str, Any] | list[Any]
    span: Span
    key: str | None = None
    key_span: Span | None = None
    wants_key: bool = True
    keys: dict[str, Span] = field(default_factory=dict)


@cache
def _forbidden(*, ascii_only: bool) -> re.Pattern[str]:
    """Return what cannot stand in a line; most are ASCII, and the large set takes 6 ms to compile."""
    return re.compile(f"[^{_ASCII}{'' if ascii_only else _BEYOND_ASCII}]")


def split_lines(text: str) -> tuple[str, ...]:
    """Return the lines of a text as this reader counts them: LF, CRLF and CR end one."""
    return tuple(_LINE_BREAK.sub("\n", text).split("\n"))


def read_document(text: str, file: str) -> Document:
    """Read a recipe's text; whatever is wrong with it is in the document's findings, and nothing is raised."""
    return _Reader(split_lines(text), file).read()


class _Stop(Exception):
    """Nothing that follows can be read."""


class _Reader:
    def __init__(self, lines: tuple[str, ...], file: str) -> None:
        self.lines = lines
        self.file = file
        self.document = Document()
        self.frames: list[_Frame] = []
        self.end: yaml.Mark | None = None
        self.documents = 0
        self.values = 0

    def read(self) -> Document:
        try:
            self._check_characters()
            for event in self._events():
                self._count(event)
                self._take(event)
        except _Stop:
            self.document.whole = False
        if not self.document.index:
            self.document.index[()] = Marks(None, Span(1, 1, 2), collection=True)
        return self.document

    def _check_characters(self) -> None:
        for number, line in enumerate(self.lines, 1):
            if found := _forbidden(ascii_only=line.isascii()).search(line):
                span = Span(number, found.start() + 1, found.end() + 1)
                character = f"U+{ord(found.group()):04X}"
                self._report(Code.YAML_SYNTAX, f"the character {character} cannot stand in a recipe", span)
                raise _Stop

    def _events(self) -> Iterator[yaml.Event]:
        loader: Any = yaml.SafeLoader("\n".join(self.lines))
        try:
            while loader.check_event():
                yield loader.get_event()
        except yaml.MarkedYAMLError as error:
            self._report_syntax(error)
            raise _Stop from None
        except (yaml.YAMLError, ValueError, OverflowError):
            # PyYAML lets an escape sequence such as "\UFFFFFFFF" end in the ValueError of chr()
            message = "an escape sequence or a version beyond what there is"
            self._report(Code.YAML_SYNTAX, message, self._point(loader.get_mark()))
            raise _Stop from None
        finally:
            loader.dispose()

    def _count(self, event: yaml.Event) -> None:
        """Stop where more is there, or is wrong, than anybody means."""
        self.values += isinstance(event, yaml.NodeEvent)
        if self.values > MAXIMUM_VALUES:
            message, hint = f"more than {MAXIMUM_VALUES} keys and values", "no recipe is so long: is it the right file?"
            self._report(Code.RECIPE_TOO_LARGE, message, self._span(event), hint=hint)
            raise _Stop
        if is_enough(self.document.findings):
            raise _Stop

    def _take(self, event: yaml.Event) -> None:
        match event:
            case yaml.DocumentStartEvent():
                self._start_document(event)
            case yaml.AliasEvent():
                self._refuse(event, f"an alias (`*{event.anchor}`)", "write the value out")
                self._deliver_unread(self._span(event))
            case yaml.ScalarEvent():
                self._refuse_decoration(event)
                self._scalar(event)
            case yaml.SequenceStartEvent():
                self._refuse_decoration(event)
                self._open([], event)
            case yaml.MappingStartEvent():
                self._refuse_decoration(event)
                self._open({}, event)
            case yaml.CollectionEndEvent():
                self._close(event)
        if not isinstance(event, yaml.CollectionEndEvent):
            self.end = _marks(event)[1]

    # What a recipe does not use ----------------------------------------------------------------------------------

    def _start_document(self, event: yaml.DocumentStartEvent) -> None:
        self.documents += 1
        span = self._span(event)
        if self.documents > 1:
            hint = "put each recipe in a file of its own"
            self._report(Code.YAML_FEATURE, "a second document in the same file", span, hint=hint)
            raise _Stop
        if event.explicit and self.lines[span.line - 1].startswith("%"):
            self._report(Code.YAML_FEATURE, "a directive is not part of a recipe", span, hint="remove the line")

    def _refuse_decoration(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        if event.anchor is not None:
            self._refuse(event, f"an anchor (`&{event.anchor}`)", "write the value out where it is needed")
        if event.tag is not None:
            self._refuse(event, f"a tag (`{event.tag}`)", "remove it; quote the value if text is meant")

    def _refuse(self, event: yaml.Event, what: str, hint: str) -> None:
        self._report(Code.YAML_FEATURE, f"{what} is not part of a recipe", self._span(event), hint=hint)

    # Nodes -------------------------------------------------------------------------------------------------------

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        span = self._span(event)
        if _NOT_TEXT.search(event.value):
            self._report(Code.YAML_SYNTAX, "an escape sequence that is half a character", span)
            self._deliver_unread(span)
            return
        if event.tag is not None:
            self._deliver_unread(span)
            return
        if self._key_is_due() and event.value == "<<" and event.implicit[0]:
            self._refuse(event, "a merge key (`<<`)", "write the keys out")
            self._drop_key(incomplete=True)
            return
        try:
            value = resolve_plain(event.value) if event.implicit[0] else event.value
        except AmbiguousScalar as error:
            hint = f'quote it: "{event.value}"'
            if re.fullmatch("0[0-9]+", event.value):
                hint += f"; hexadecimal is 0x{event.value}"
            path = () if self._key_is_due() else self._next_path() or ()
            self._report(Code.YAML_AMBIGUOUS, str(error), span, path=path, hint=hint)
            self._deliver_unread(span)
            return
        if self._key_is_due():
            self._key(value, event.value, span)
        else:
            self._deliver(value, span)

    def _key(self, value: Any, text: str, span: Span) -> None:
        if not isinstance(value, str) or not value.isprintable():
            words = f"`{text}`" if text.isprintable() and text else "this key"
            hint = f'quote it: "{text}"' if text and text.isprintable() else "a key is one line of text"
            self._report(Code.YAML_KEY_NOT_TEXT, f"{words} is not text", span, hint=hint)
            self._drop_key(incomplete=True)
            return
        frame = self.frames[-1]
        if value in frame.keys:
            related = Related((), "first here", self._place(frame.keys[value]))
            self._report(Code.YAML_DUPLICATE_KEY, f"`{value}` is here twice", span, related=(related,))
            self._drop_key(incomplete=False)
            return
        frame.keys[value] = span
        frame.key, frame.key_span, frame.wants_key = value, span, False

    def _drop_key(self, *, incomplete: bool) -> None:
        """Read the key's value for its mistakes, and forget it."""
        frame = self.frames[-1]
        frame.key, frame.key_span, frame.wants_key = None, None, False
        if incomplete and frame.path is not None:
            self.document.incomplete.add(frame.path)

    def _open(self, value: dict[str, Any] | list[Any], event: yaml.CollectionStartEvent) -> None:
        span = self._span(event)
        if len(self.frames) >= MAXIMUM_DEPTH:
            self._report(Code.YAML_TOO_DEEP, f"deeper than {MAXIMUM_DEPTH} levels", Span(*span[:2], span.column + 1))
            raise _Stop
        path = self._next_path()
        if self._key_is_due():
            if self.frames[-1].path is not None:
                hint = "quote text that begins with `{` or `[`; a template has to be filled in first"
                span = Span(*span[:2], span.column + 1)
                self._report(Code.YAML_KEY_NOT_TEXT, "a collection cannot be a key", span, hint=hint)
            self._drop_key(incomplete=True)
            self.frames[-1].wants_key = True  # the value is still to come, after the collection has ended
            path = None
        self.frames.append(_Frame(path, value, span))

    def _close(self, event: yaml.CollectionEndEvent) -> None:
        frame = self.frames.pop()
        start, end = _marks(event)
        if start.index < end.index:  # `]` or `}`
            self.end = end
        if self._key_is_due():
            self.frames[-1].wants_key = False
            return
        end_column = frame.span.end_column
        if self.end is not None and self.end.line + 1 == frame.span.line:
            end_column = max(self.end.column + 1, frame.span.column + 1)
        else:
            end_column = max(len(self.lines[frame.span.line - 1].rstrip()) + 1, frame.span.column + 1)
        self._deliver(frame.value, Span(frame.span.line, frame.span.column, end_column), collection=True)

    def _deliver_unread(self, span: Span) -> None:
        if self._key_is_due():
            self._drop_key(incomplete=True)
            return
        path = self._next_path()
        if path is not None:
            self.document.unread.add(path)
        self._deliver(None, span)

    def _deliver(self, value: Any, span: Span, *, collection: bool = False) -> None:
        """Put a finished node where it belongs."""
        path, key_span = self._next_path(), None
        if not self.frames:
            self.document.value = value
        else:
            frame = self.frames[-1]
            if isinstance(frame.value, list):
                frame.value.append(value)
            else:
                if frame.key is not None:
                    frame.value[frame.key] = value
                key_span = frame.key_span
                frame.wants_key = True
        if path is not None:
            self.document.index[path] = Marks(key_span, span, collection)

    def _key_is_due(self) -> bool:
        return bool(self.frames) and isinstance(self.frames[-1].value, dict) and self.frames[-1].wants_key

    def _next_path(self) -> RecipePath | None:
        if not self.frames:
            return ()
        frame = self.frames[-1]
        if frame.path is None:
            return None
        if isinstance(frame.value, list):
            return (*frame.path, len(frame.value))
        return None if frame.key is None else (*frame.path, frame.key)

    # Places ------------------------------------------------------------------------------------------------------

    def _span(self, event: yaml.Event) -> Span:
        start, end = _marks(event)
        column = start.column + 1
        same_line = end.line == start.line
        end_column = end.column + 1 if same_line else len(self._line(start.line).rstrip()) + 1
        return Span(start.line + 1, column, max(end_column, column + 1))

    def _point(self, mark: yaml.Mark) -> Span:
        line = min(mark.line, len(self.lines) - 1)
        column = min(mark.column, len(self._line(line))) + 1
        return Span(line + 1, column, column + 1)

    def _line(self, index: int) -> str:
        return self.lines[index] if index < len(self.lines) else ""

    def _place(self, span: Span) -> Place:
        return Place(self.file, span.line, span.column, span.end_column, self._line(span.line - 1))

    def _report(
        self,
        code: Code,
        message: str,
        span: Span,
        *,
        path: RecipePath = (),
        hint: str = "",
        related: tuple[Related, ...] = (),
    ) -> None:
        self.document.findings.append(Finding(code, message, path, hint=hint, place=self._place(span), related=related))

    def _report_merge_conflict(self) -> bool:
        """Report the first merge conflict that git left in the text; say whether there is one."""
        first = next((n for n, line in enumerate(self.lines, 1) if line.startswith("<<<<<<< ")), None)
        last = next((n for n, line in enumerate(self.lines, 1) if line.startswith(">>>>>>> ")), None)
        if first is None or last is None:
            return False
        end = Related((), "to here", self._place(_marker(last, self.lines[last - 1])))
        hint = "keep what is right, and remove the lines with `<<<<<<<`, `=======` and `>>>>>>>`"
        span = _marker(first, self.lines[first - 1])
        self._report(Code.YAML_SYNTAX, "a merge conflict that is not resolved", span, hint=hint, related=(end,))
        return True

    def _report_syntax(self, error: yaml.MarkedYAMLError) -> None:
        if self._report_merge_conflict():
            return
        message, hint = _explain(error)
        mark = error.problem_mark or error.context_mark
        span = self._point(mark) if mark is not None else Span(1, 1, 2)
        if "${" in self.lines[span.line - 1][max(span.column - 2, 0) : span.column + 1]:
            hint = "inside braces and brackets a value with `${...}` stands in quotes"
        related: tuple[Related, ...] = ()
        if error.context and error.context_mark is not None and error.context_mark.line + 1 != span.line:
            related = (Related((), _context(error.context), self._place(self._point(error.context_mark))),)
        self._report(Code.YAML_SYNTAX, message, span, hint=hint, related=related)


def _marker(number: int, line: str) -> Span:
    return Span(number, 1, len(line.rstrip()) + 1)


def _marks(event: yaml.Event) -> tuple[yaml.Mark, yaml.Mark]:
    """Return where an event begins and ends; PyYAML's own parser always says so."""
    return cast("yaml.Mark", event.start_mark), cast("yaml.Mark", event.end_mark)


def _context(text: str) -> str:
    """Return where PyYAML was, in the words of people: `while parsing a flow mapping` is `in this mapping`."""
    what = re.sub(r"^while (parsing|scanning) an? ((block|flow|simple) )?", "", text)
    return f"in this {what.replace('sequence', 'list').replace('collection', 'list').replace('scalar', 'text')}"


def _explain(error: yaml.MarkedYAMLError) -> tuple[str, str]:
    """Return PyYAML's complaint in words for people who do not know its scanner, and a hint where one is known."""
    problem = error.problem or error.context or "not YAML"
    if r"'\t'" in problem:
        return "a tab where YAML takes only spaces", "indent and separate with spaces"
    if "cannot start any token" in problem:
        return f"{problem.removeprefix('found ').removesuffix(' that cannot start any token')} cannot begin a value", (
            "quote the value"
        )
    if problem == "mapping values are not allowed here":
        return "a `:` where no key can be", "quote text that holds `: `, and check the indentation"
    if "expected <block end>" in problem:
        return "this line does not fit the indentation above it", "align it with the lines it belongs to"
    if "could not find expected ':'" in problem:
        return "a key without its `:`", "a key is followed by `: `"
    if "expected chomping or indentation indicators" in problem:
        return "`>` and `|` begin a block of text", "quote the value"
    if match := re.fullmatch(r"found unknown escape character '(.)'", problem):
        hint = "in a path write `/`; in single quotes a `\\` is a `\\`"
        return f"`\\{match.group(1)}` is no escape sequence", hint
    if problem == "found unexpected end of stream":
        return "the file ends inside quoted text", "close the quotes"
    if match := re.fullmatch(r"expected ',' or '(.)', but got '(.+)'", problem):
        before = "the end of the file" if match.group(2) == "<stream end>" else "this"
        return f"a `,` or the closing `{match.group(1)}` is missing before {before}", ""
    return problem.replace("'<stream end>'", "the end of the file"), ""
