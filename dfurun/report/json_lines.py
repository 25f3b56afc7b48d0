"""JSON Lines: one object a line. `hello` first, `unit` on every unit's event, exactly one `result` last."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import fields
from enum import Enum
from typing import Any, TextIO

from dfurun import __version__
from dfurun.errors import Code, DfurunError, ExitStatus
from dfurun.steps.event import Event, UnitFinished

JSON_VERSION = 1


class JsonReporter:
    """Writes objects to a stream, each flushed, so that a reader follows a run as it goes on."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._writing = threading.Lock()  # of several units each has a thread

    def hello(self, command: str) -> None:
        """Write the first line: who speaks, and the version of what follows."""
        self.write(
            {"event": "hello", "tool": "dfurun", "version": __version__, "json": JSON_VERSION, "command": command}
        )

    def event(self, unit: str, event: Event) -> None:
        """Write a unit's event under its name in kebab-case; a `UnitFinished` becomes `unit-result`."""
        name = "unit-result" if isinstance(event, UnitFinished) else _kebab(type(event).__name__)
        self.write({"event": name, "unit": unit, **_plain(event)})

    def result(self, status: ExitStatus, error: DfurunError | None = None, **details: Any) -> None:
        """Write the last line; `exit` is the process's own status."""
        body: dict[str, Any] = {"event": "result", "exit": int(status), **details}
        if error is not None:
            body["error"] = {
                "code": str(error.code),
                "message": error.message,
                "consequence": error.consequence,
                "hint": error.hint,
                "evidence": list(error.evidence),
            }
        self.write(body)

    def write(self, body: Mapping[str, Any]) -> None:
        """Write one object, in ASCII: a stream of another encoding would put escapes of its own into it."""
        line = json.dumps(body, default=_value) + "\n"
        with self._writing:
            self._stream.write(line)
            self._stream.flush()


def _plain(event: Event) -> dict[str, Any]:
    return {field.name: getattr(event, field.name) for field in fields(event)}


def _value(value: Any) -> Any:
    match value:
        case bytes():
            return value.hex()
        case Code():
            return str(value)
        case Enum():
            return value.value
        case Mapping():
            return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def _kebab(name: str) -> str:
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in name).lstrip("-")
