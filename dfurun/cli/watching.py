"""What `-v`, `-vv` and `--log FILE` show of a board's link: on standard error, and in a file."""

from __future__ import annotations

import errno
import platform
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TextIO

from dfurun import __version__
from dfurun.cli.failures import UsageFailure
from dfurun.dfuse.narration import Narrator, in_words
from dfurun.dfuse.trace import Transfer
from dfurun.errors import Code, Refused, StepFailed
from dfurun.report.log import LOG_HEADER, LogFile

NOTHING_SENT = "nothing was sent to any board"


class Watch:
    """Listens to a link (`dfurun.dfuse.trace.Trace`): shows operations from 1 on, every transfer from 2 on, logs all."""

    def __init__(self, show: Callable[[str], None], verbosity: int, log: LogFile | None, unit: str = "") -> None:
        self._show = show
        self._verbosity = verbosity
        self._log = log
        self._whose = f"{unit} " if unit else ""  # in the log, which is of all units
        self._narrator = Narrator(self._operation)
        self._began_s: float | None = None

    def transfer(self, transfer: Transfer) -> None:
        """Hear of a transfer; it belongs to what is told next."""
        if self._began_s is None:
            self._began_s = transfer.began_s
        words = in_words(transfer)
        at = f"{transfer.began_s - self._began_s:10.4f} s"
        if self._verbosity > 1:
            self._show(f"{at}  {words}")
        if self._log is not None:
            self._log.line("transfer", f"{self._whose}{at}  {words}")
        self._narrator.transfer(transfer)

    def note(self, text: str) -> None:
        """Hear of something that is no transfer."""
        if not text.startswith("!"):
            self._narrator.flush()
        self._tell("note", text)

    def flush(self) -> None:
        """Tell of the operation that is still open."""
        self._narrator.flush()

    def _operation(self, text: str) -> None:
        self._tell("operation", text)

    def _tell(self, kind: str, text: str) -> None:
        if self._verbosity > 0:
            self._show(f"    {text}")
        if self._log is not None:
            self._log.line(kind, self._whose + text)


def open_log(path: Path, arguments: Sequence[str]) -> LogFile:
    """Return a log that has its header, appended to an earlier log.

    Raises UsageFailure for a folder, Refused where the file is something else, StepFailed where it cannot be written; nothing
    has been sent by then.
    """
    if path.is_dir():
        raise UsageFailure(f"--log: {path} is a folder", f"a file's name in it, such as {path / 'dfurun.log'}")
    try:
        if path.exists() and not (path.is_file() or path.is_char_device()):
            raise OSError(errno.EINVAL, "neither a file nor a terminal")  # a pipe would wait for a reader
        if path.is_file() and not _is_log(path):
            raise Refused(
                Code.FILE_EXISTS,
                f"--log {path}: the file is there already and is no log of dfurun",
                consequence=f"nothing was overwritten, and {NOTHING_SENT}",
                hint="another name; only a log of dfurun is appended to",
            )
        stream: TextIO = path.open("a", encoding="utf-8", errors="backslashreplace", buffering=1)
        log = LogFile(stream)
        log.begin(_about(arguments))
    except OSError as error:
        raise StepFailed(
            Code.FILE_UNWRITABLE,
            f"--log {path} cannot be written: {error.strerror or error}",
            consequence=NOTHING_SENT,
            hint="a folder that is there and may be written to",
        ) from None
    return log


def _is_log(path: Path) -> bool:
    """Say whether the file is empty or begins as a log does."""
    with path.open("rb") as file:
        start = file.read(len(LOG_HEADER))
    return start in (b"", LOG_HEADER.encode())


def _about(arguments: Sequence[str]) -> list[str]:
    """Return what a reader of the log has to know first."""
    from dfurun.usb.host import software

    where = ""
    with suppress(OSError):  # a working directory that was removed
        where = str(Path.cwd())
    return [
        f"started: {datetime.now().astimezone().isoformat(timespec='seconds')}",
        f"command: {shlex.join(['dfurun', *arguments])}",
        f"folder: {where}",
        f"dfurun {__version__}, {platform.platform()} ({sys.platform})",
        f"{software()}",
    ]
