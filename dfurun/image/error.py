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
    """A firmware file that cannot be used.

    `where` is the place in the file, such as `line 3`; `notes` are facts too long for the message, a line each.
    """

    def __init__(
        self,
        code: Code,
        message: str,
        *,
        subject: Subject = Subject.FILE,
        where: str = "",
        hint: str = "",
        notes: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.subject = subject
        self.where = where
        self.hint = hint
        self.notes = notes


class Mark(Enum):
    """How a place in a firmware file is named: by its line, counted from 1, in a text; by its offset in a binary file."""

    LINE = "in line {}"
    OFFSET = "at offset 0x{:X}"

    def words(self, number: int) -> str:
        """Return the place in words."""
        return self.value.format(number)

    def damaged(self, number: int, message: str, *, hint: str = "take the file from its source again") -> ImageError:
        """Return the error for what is wrong there."""
        return ImageError(Code.IMAGE_INVALID, message, where=self.words(number).removeprefix("in "), hint=hint)
