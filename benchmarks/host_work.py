"""What a request costs the host, in bytecodes of Python: the same on a busy computer. python -m benchmarks.host_work."""

from __future__ import annotations

import sys
import tempfile
from array import array
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks.modelled import CHIP, FIRST_FLASH, LEAVE, NEW, OLD, VERIFY
from dfurun.clock import VirtualClock
from dfurun.plan import compile_recipe
from dfurun.simulator import SimulatedBackend, SimulatedBoard
from tests.bench import run_compiled
from tests.system.firmware import recipe

CLASS_REQUESTS = (0x21, 0xA1)
SHOWN = 12
_NOT_COUNTED = ("/simulator/", "host_work.py", "/tests/")


@dataclass
class Work:
    """Bytecodes from the first DFU request to the last: those that the ROM waits for, by file, and those in its own waits."""

    requests: int = 0
    waited_for: Counter[str] = field(default_factory=Counter)
    meanwhile: int = 0
    _since: Counter[str] = field(default_factory=Counter)
    _inside: bool = False

    def trace(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        """Follow the client's functions, for `sys.settrace`."""
        if self._inside or any(part in frame.f_code.co_filename for part in _NOT_COUNTED):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._count

    def _count(self, frame: FrameType, event: str, _argument: Any) -> Any:
        if event == "opcode":
            self._since[frame.f_code.co_filename] += 1
        return self._count

    def carry(self, backend: SimulatedBackend, handle: Any, request_type: int, *rest: Any) -> int:
        """Carry a control transfer; what is done before the first DFU request and after the last is not counted."""
        self._inside = True
        if request_type in CLASS_REQUESTS:
            if self.requests:
                self.waited_for.update(self._since)
            else:
                self.meanwhile = 0
            self._since.clear()
            self.requests += 1
        try:
            return SimulatedBackend.ctrl_transfer(backend, handle, request_type, *rest)
        finally:
            self._inside = False

    def sleep(self) -> None:
        """Take what was done since the last request for done meanwhile."""
        if not self._inside:
            self._inside = True
            self.meanwhile += self._since.total()
            self._since.clear()
            self._inside = False


class _Backend(SimulatedBackend):
    work: Work

    def ctrl_transfer(
        self, dev_handle: Any, request_type: int, request: int, value: int, index: int, data: array[int], timeout: int
    ) -> int:
        return self.work.carry(self, dev_handle, request_type, request, value, index, data, timeout)


class _Clock(VirtualClock):
    work: Work

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            self.work.sleep()
        super().sleep(seconds)


def measure() -> Work:
    """Flash a board once for what is cached, and once to count."""
    with tempfile.TemporaryDirectory() as name:
        compiled = compile_recipe(recipe(Path(name), FIRST_FLASH + VERIFY + LEAVE, application=NEW))
        for number in range(2):
            _Backend.work = _Clock.work = work = Work()
            board = SimulatedBoard(CHIP, _Clock(), flash=OLD)
            sys.settrace(work.trace if number else None)
            try:
                finished, _ = run_compiled(compiled, [board], Path(name) / str(number), backend=_Backend)
            finally:
                sys.settrace(None)
            if finished.code is not None:
                raise RuntimeError(str(finished))
    return work


def main() -> None:
    """Print it: in all, a request, and by the files that do it."""
    work = measure()
    total = work.waited_for.total()
    print(
        f"{work.requests} requests; the ROM waits for {total} bytecodes, {total / work.requests:.0f} a request;"
        f" {work.meanwhile} are done while it asks to be left alone"
    )
    for file, count in work.waited_for.most_common(SHOWN):
        print(f"{count:8}  {'/'.join(Path(file).parts[-2:])}")


if __name__ == "__main__":
    main()
