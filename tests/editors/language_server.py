"""A YAML language server as an editor talks to it: one document, opened as it is typed; what is completed, shown and marked.

# Ref: Language Server Protocol 3.17, base protocol (header, content) and the requests by their own names
"""

from __future__ import annotations

import itertools
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

LANGUAGE = "yaml"


@dataclass(frozen=True)
class Place:
    """A place in a document, as the protocol counts it: from 0."""

    line: int
    character: int


def cursor_in(text: str) -> tuple[str, Place]:
    """Return a text without its `|`, and where that stood."""
    before, bar, after = text.partition("|")
    assert bar, "no cursor in the text"
    return before + after, Place(before.count("\n"), len(before) - before.rfind("\n") - 1)


class LanguageServer:
    """A server in a process of its own, which ends with the `with` block."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self._folder = folder
        self._numbers, self._versions = itertools.count(1), itertools.count(1)
        self._process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._marks: dict[str, list[dict[str, Any]]] = {}

    def __enter__(self) -> Self:
        snippets = {"completion": {"completionItem": {"snippetSupport": True, "documentationFormat": ["markdown"]}}}
        capabilities = {"textDocument": snippets | {"publishDiagnostics": {}}}
        self.ask("initialize", processId=None, rootUri=self._folder.as_uri(), capabilities=capabilities)
        self._tell("initialized")
        settings = {"yaml": {"schemaStore": {"enable": False}, "validate": True, "hover": True, "completion": True}}
        self._tell("workspace/didChangeConfiguration", settings=settings)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def open(self, name: str, text: str) -> str:
        """Open a document of this name in the folder; return its address."""
        uri = (self._folder / name).as_uri()
        item = {"uri": uri, "languageId": LANGUAGE, "version": next(self._versions), "text": text}
        self._tell("textDocument/didOpen", textDocument=item)
        return uri

    def completions(self, name: str, text: str) -> list[dict[str, Any]]:
        """Return what is offered at the `|` of a document, as the server tells it."""
        told = self._at_cursor("textDocument/completion", name, text)
        items: list[dict[str, Any]] = told["items"] if isinstance(told, dict) else told
        return items

    def hover(self, name: str, text: str) -> str:
        """Return what is shown over the `|` of a document."""
        told = self._at_cursor("textDocument/hover", name, text)
        return str(told["contents"]["value"]) if told else ""

    def marks(self, name: str, text: str) -> list[str]:
        """Return what is marked in a document as wrong.

        It is opened beside the name: marks of what had that name before may still be on their way.
        """
        path = Path(name)
        uri = self.open(str(path.with_stem(f"{path.stem}-{next(self._versions)}")), text)
        while uri not in self._marks:
            self._receive()
        return [mark["message"] for mark in self._marks[uri]]

    def _at_cursor(self, method: str, name: str, text: str) -> Any:
        whole, place = cursor_in(text)
        uri = self.open(name, whole)
        return self.ask(method, textDocument={"uri": uri}, position=vars(place))

    def ask(self, method: str, **parameters: Any) -> Any:
        """Send a request and return its result."""
        number = next(self._numbers)
        self._send({"id": number, "method": method, "params": parameters})
        while True:
            message = self._receive()
            if message.get("id") == number and "method" not in message:
                assert "error" not in message, message
                return message.get("result")

    def _tell(self, method: str, **parameters: Any) -> None:
        self._send({"method": method, "params": parameters})

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self._process.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        """Return the next message; answer what the server asks with nothing, and keep what it marks."""
        assert self._process.stdout
        length = 0
        while line := self._process.stdout.readline().strip():
            if line.lower().startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        assert length, "the language server has ended"
        message: dict[str, Any] = json.loads(self._process.stdout.read(length))
        if message.get("method") == "textDocument/publishDiagnostics":
            self._marks[message["params"]["uri"]] = message["params"]["diagnostics"]
        elif "method" in message and "id" in message:
            wanted = message["params"].get("items", []) if message["method"] == "workspace/configuration" else []
            self._send({"id": message["id"], "result": [None for _ in wanted] or None})
        return message
