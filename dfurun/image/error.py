"""What can be wrong with a firmware file, before anybody knows which line of a recipe named it."""

from __future__ import annotations

from enum import Enum

from dfurun.errors import Code


class Subject(Enum):
    """Which of an image's properties is at fault; the names are the recipe's keys."""

    FILE = "file"
    SHA256 = "sha256"
    SIZE = "size"
    ADDRESS = "address"


class ImageError(ValueError):
    """A firmware file that cannot be used. `line` counts from 1, where the format has lines."""

    def __init__(
        self, code: Code, message: str, *, subject: Subject = Subject.FILE, line: int | None = None, hint: str = ""
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.subject = subject
        self.line = line
        self.hint = hint
