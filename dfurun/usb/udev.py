"""Who may open a board on Linux: the udev rule that is there, the one that dfurun ships, and the command that installs it."""

from __future__ import annotations

import shlex
from importlib.resources import files
from pathlib import Path

RULES_FILE = "60-dfurun.rules"
RULE_FOLDERS = tuple(
    Path(name) for name in ("/etc/udev/rules.d", "/run/udev/rules.d", "/usr/lib/udev/rules.d", "/lib/udev/rules.d")
)
INSTALL = "install the udev rule with this command, and replug the board"


def shipped_rule() -> str:
    """Return the path of the rules file that dfurun ships."""
    return str(files("dfurun.usb") / RULES_FILE)


def rule_for_boards(folders: tuple[Path, ...] = RULE_FOLDERS) -> str:
    """Return the udev rules file that speaks of ST's bootloader, empty where none does."""
    for folder in folders:
        try:
            found = sorted(folder.glob("*.rules"))
        except OSError:
            continue
        for path in found:
            try:
                text = path.read_text(encoding="utf-8", errors="replace").lower()
            except OSError:
                continue
            if any("0483" in line and "df11" in line for line in text.splitlines() if not line.startswith("#")):
                return str(path)
    return ""


def install_rule(shipped: str) -> str:
    """Return the command that installs the shipped rules file."""
    copy = f"sudo install -m 644 {shlex.quote(shipped)} /etc/udev/rules.d/{RULES_FILE}"
    return f"{copy} && sudo udevadm control --reload && sudo udevadm trigger"


def rule_does_not_help(rule: str, node: str = "") -> str:
    """Say what to do where a rule is there and the board, whose device file is `node`, may not be opened all the same."""
    return (
        f"{rule} is there: replug the board; a rule may let in only who sits at the computer, or the group of "
        f"{node or 'the device'} (`ls -l` tells which)"
    )


def permission_hint(rule: str, shipped: str) -> str:
    """Say how a user gets access to the board; `rule` is the rules file that is installed, empty where none is."""
    return rule_does_not_help(rule) if rule else f"{INSTALL}:\n{install_rule(shipped)}"
