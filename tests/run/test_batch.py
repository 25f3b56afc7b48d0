"""Workers at once: what is raised in one stops no other, and what waits hears the second Ctrl-C."""

from __future__ import annotations

import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dfurun.errors import AccessDenied
from dfurun.run.batch import Halt, run_all
from dfurun.steps.event import UnitFinished
from dfurun.steps.files import replace_file
from dfurun.usb.libusb import find_backend, own_backend

PASSED = UnitFinished(0, "passed", True, None, "", "", "", (), 1.0, {}, 1, 0)


def test_what_is_raised_in_one_worker_is_its_own_end() -> None:
    def mistaken() -> UnitFinished:
        raise ZeroDivisionError

    ended = run_all({"a": lambda: PASSED, "b": mistaken, "c": lambda: PASSED}, Halt())
    assert list(ended) == ["a", "b", "c"]
    assert [end.finished for end in ended.values()] == [PASSED, None, PASSED]
    assert isinstance(ended["b"].bug, ZeroDivisionError)


def test_the_interpreter_is_handed_on_sooner_while_workers_run_and_as_ever_afterwards() -> None:
    before_s, seen = sys.getswitchinterval(), []

    def look() -> UnitFinished:
        seen.append(sys.getswitchinterval())
        return PASSED

    run_all({"a": look}, Halt())
    assert seen[0] < before_s == sys.getswitchinterval()


def test_a_wait_ends_at_the_second_ctrl_c_in_every_worker_and_once_in_each() -> None:
    halt, raised = Halt(), []

    def waits() -> UnitFinished:
        clock = halt.clock()
        try:
            clock.sleep(60.0)
        except KeyboardInterrupt:
            raised.append(threading.current_thread().name)
        clock.sleep(60.0)  # what a unit still does at its end is not stopped
        return PASSED

    threading.Timer(0.1, halt.ask).start()
    began = time.monotonic()
    ended = run_all({"1-1": waits, "1-2": waits}, halt)
    assert sorted(raised) == ["unit 1-1", "unit 1-2"]
    assert all(end.finished is PASSED for end in ended.values())
    assert time.monotonic() - began < 30


def test_a_worker_that_no_unit_shields_ends_without_a_result() -> None:
    def waits() -> UnitFinished:
        halt.clock().sleep(60.0)
        return PASSED

    halt = Halt()
    halt.ask()
    (end,) = run_all({"1-1": waits}, halt).values()
    assert (end.finished, end.bug) == (None, None)


def test_a_third_ctrl_c_is_for_the_process() -> None:
    halt = Halt()
    halt.ask()
    with pytest.raises(KeyboardInterrupt):
        halt.ask()


def test_a_clock_that_nobody_halts_keeps_time() -> None:
    clock = Halt().clock()
    began = clock.now()
    clock.sleep(0.02)
    clock.sleep(-1.0)
    assert clock.now() - began >= 0.02


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
def test_threads_that_write_files_at_once_leave_the_umask_alone(tmp_path: Path) -> None:
    """It can be read only by setting it: two threads that do so at once would keep what the other has set."""
    from dfurun.steps import files

    before = os.umask(0o027)
    files._umask.cache_clear()
    try:
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda number: replace_file(tmp_path / f"{number}", b"x"), range(64)))
        assert os.umask(0o027) == 0o027
        assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o640}
    finally:
        os.umask(before)
        files._umask.cache_clear()


def test_each_worker_has_a_libusb_context_of_its_own_and_lists_the_bus_with_it() -> None:
    import usb.core

    try:
        shared = find_backend()
    except AccessDenied:
        pytest.skip("no libusb on this computer")
    backends = [own_backend() for _ in range(8)]
    contexts = {backend.ctx.value for backend in (shared, *backends)}
    assert len(contexts) == 9
    with ThreadPoolExecutor(8) as pool:
        listed = list(pool.map(lambda backend: len(list(usb.core.find(find_all=True, backend=backend))), backends))
    assert len(set(listed)) == 1
