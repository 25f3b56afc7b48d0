"""As much of a terminal as a run uses: what its screen shows in the end."""

from __future__ import annotations

import re

_PART = re.compile(r"\x1b\[(?P<number>[?0-9;]*)(?P<order>[A-Za-z])|(?P<text>[^\x1b])", re.DOTALL)


def screen(written: str) -> list[str]:
    """Return the lines on a screen that was blank, after all that was written to it; blank lines at the end are left out.

    Knows line ends, moving up, erasing a line; colour and the cursor's looks show nothing. Raises ValueError for more.
    """
    lines, row, column = [""], 0, 0
    for part in _PART.finditer(written.replace("\r\n", "\n")):
        match part["order"], part["text"]:
            case "A", _:
                row = max(0, row - int(part["number"] or 1))
            case "K", _:
                lines[row] = "" if part["number"] == "2" else lines[row][:column]
            case (("m" | "h" | "l"), _):
                pass
            case None, "\r":
                column = 0
            case None, "\n":
                row, column = row + 1, 0
                lines += [""] * (row + 1 - len(lines))
            case None, str(character):
                lines[row] = lines[row].ljust(column)[:column] + character + lines[row][column + 1 :]
                column += 1
            case _:
                raise ValueError(part[0])
    while lines and not lines[-1].strip():
        lines.pop()
    return [line.rstrip() for line in lines]
