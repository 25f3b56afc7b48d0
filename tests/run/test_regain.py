"""A board that is lost at any transfer, or a link that fails there, and is back: the run goes on to the right end, once.

Each run is a whole recipe in this process, on a simulated board and a virtual clock.
"""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from bench import run_compiled
from command_line import ROOT
from intelhex import IntelHex

from dfurun.clock import VirtualClock
from dfurun.dfuse.protocol import Command, DfuStatus
from dfurun.plan import Compiled, compile_recipe
from dfurun.run.operator import SimulatedOperator
from dfurun.simulator import Fault, Running, SimulatedBoard, parse_fault
from dfurun.simulator.fault import Moment
from dfurun.simulator.operation import Action, Operation
from dfurun.simulator.transfer import NoAnswer
from dfurun.steps.context import REGAINS_A_STEP
from dfurun.steps.event import UnitFinished

OTHER_UNIQUE_ID = bytes.fromhex("AA0030000D50534237343120")
BOOT_BITS_CLEARED = {"BOOT_SEL": 0, "nBOOT0": 0}
BESIDE = bytes(range(1, 251))  # what the flash holds beside the image: no byte of it is an erased one
CHANGED = "write changed pages, with data beside"


signals = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")


@dataclass(frozen=True)
class Case:
    """A recipe, and what its board holds before it."""

    recipe: Compiled
    flash: bytes = b""
    option_bytes: bytes | None = None
    protection: int = 0

    def board(
        self, *faults: Fault, unique_id: bytes | None = None, clock: VirtualClock | None = None
    ) -> SimulatedBoard:
        recipe = self.recipe.runnable()
        given = {} if unique_id is None else {"unique_id": unique_id}
        board = SimulatedBoard(
            recipe.chip, clock or VirtualClock(), flash=self.flash, option_bytes=self.option_bytes, **given
        )  # type: ignore[arg-type]
        if self.protection:
            board.protect(self.protection)
        board.afflict(faults)
        return board


@dataclass(frozen=True)
class End:
    """What a run leaves."""

    finished: UnitFinished
    flash: bytes
    option_bytes: bytes
    running: Running
    messages: tuple[str, ...] = field(compare=False)

    @property
    def board(self) -> tuple[bytes, bytes, Running]:
        return self.flash, self.option_bytes, self.running


class PowerCut(Fault):
    """The supply fails at transfer `at` and returns at once: what runs is cut, and what is in RAM is lost."""

    def __init__(self, at: int) -> None:
        self._to_come = at

    def before(self, moment: Moment) -> bytes | None:
        self._to_come -= 1
        if self._to_come == -1:
            assert isinstance(moment.board, SimulatedBoard)
            moment.board.power_cycle()
        return None


class Swap(Fault):
    """At transfer `at` hands pull the board and put another one to the same port."""

    def __init__(self, at: int, other: SimulatedBoard) -> None:
        self._to_come = at
        self._other = other

    @property
    def done(self) -> bool:
        """Whether the boards were exchanged."""
        return self._to_come < 0

    def before(self, moment: Moment) -> bytes | None:
        self._to_come -= 1
        if self._to_come == -1:
            assert isinstance(moment.board, SimulatedBoard)
            moment.board.unplug(back_after_s=None)
            moment.board.port = (9,)
            self._other.power_on()
        return None


class LeavesInWrites(Fault):
    """The board leaves the bus whenever a block for the flash is on its way, so many times; and hands press Ctrl-C."""

    def __init__(self, times: int, *, back_s: float | None = 1, ctrl_c: bool = False) -> None:
        self._left = times
        self._back_s = back_s
        self._ctrl_c = ctrl_c

    def before(self, moment: Moment) -> bytes | None:
        setup = moment.setup
        if self._left and setup.name == "DNLOAD" and setup.value >= 2 and setup.length > 16:
            self._left -= 1
            moment.board.unplug(back_after_s=self._back_s)
            if self._ctrl_c:
                signal.raise_signal(signal.SIGINT)
        return None


class LongBlocks(Fault):
    """No transfer with more than `longest` bytes of data gets through."""

    def __init__(self, longest: int) -> None:
        self.longest = longest

    def before(self, moment: Moment) -> bytes | None:
        if moment.setup.length > self.longest and moment.setup.name in ("DNLOAD", "UPLOAD"):
            raise NoAnswer
        return None


def shipped(name: str) -> Case:
    compiled = compile_recipe(ROOT / "recipes" / name)
    chip = compiled.runnable().chip
    options = {"BOR_LEV": 0} if "BOR_LEV" in chip.option_bytes.fields else BOOT_BITS_CLEARED
    before = chip.option_bytes.encode(chip.option_bytes.factory, options)
    old = (b"\x5a" * chip.flash.extent.size_bytes) if "release" in name else b""
    return Case(compiled, flash=old, option_bytes=None if "protect" in name else before)


@cache
def cases() -> dict[str, Case]:
    repair = shipped("f072-repair-boot.yaml")
    found = {name: shipped(f"{name}.yaml") for name in ("f072-release", "f072-protect", "f405-release", "f042-release")}
    image = found["f072-release"].recipe.runnable().images["application"].memory
    flash = repair.recipe.runnable().chip.flash
    whole = image.overlay(flash.extent, flash.blank(0) * flash.page_count)
    found["f072-repair-boot"] = Case(repair.recipe, whole, repair.option_bytes)
    found["f072-release, protected"] = Case(found["f072-release"].recipe, whole, protection=1)
    return found


def changed(folder: Path) -> Case:
    """Return a recipe that writes pages with something beside the image in them, that of the vector table among them."""
    image = IntelHex()
    image.puts(0x0800_0100, b"\x00\x40\x00\x20\x01\x01\x00\x08" + bytes(range(200)) * 9)
    image.puts(0x0800_1100, b"\x33" * 64)
    image.write_hex_file(str(folder / "image.hex"))
    digest = hashlib.sha256((folder / "image.hex").read_bytes()).hexdigest()
    lines = [
        "dfurun: 1",
        "name: changed",
        "chip: stm32f072xb",
        "images:",
        f"  image: {{file: image.hex, sha256: '{digest}'}}",
    ]
    lines += ["steps:", "  - connect", "  - write: {image: image, mode: changed}", "  - verify: {image: image}"]
    (folder / "recipe.yaml").write_text("\n".join(lines) + "\n")
    return Case(compile_recipe(folder / "recipe.yaml"), (BESIDE * 600)[: 128 * 1024])


def case_called(name: str, folder: Path) -> Case:
    return changed(folder) if name == CHANGED else cases()[name]


def run(case: Case, folder: Path, *faults: Fault, other: SimulatedBoard | None = None) -> End:
    board = case.board(*faults) if other is None else case.board(*faults, clock=other.clock)  # type: ignore[arg-type]
    finished, messages = run_compiled(case.recipe, [board] if other is None else [board, other], folder)
    return End(finished, bytes(board.flash.contents), board.option_bytes.stored, board.running, tuple(messages))


def transfers(case: Case, folder: Path) -> tuple[End, int]:
    """Return how the recipe ends without a fault, and in how many transfers."""
    board = case.board()
    finished, messages = run_compiled(case.recipe, [board], folder)
    assert finished.exit_status == 0, messages
    end = End(finished, bytes(board.flash.contents), board.option_bytes.stored, board.running, tuple(messages))
    return end, board.transfers.total()


ALL = ["f072-release", "f072-protect", "f072-repair-boot", "f405-release", "f042-release", CHANGED]


def sweep(
    case: Case, tmp_path: Path, fault: Callable[[int], Fault | list[Fault]], step: int = 1
) -> Iterator[tuple[int, End]]:
    """Run with the fault at each transfer and yield those that did not end as without it."""
    clean, count = transfers(case, tmp_path / "clean")
    for at in range(0, count, step):
        folder = tmp_path / f"at-{at}"
        made = fault(at)
        end = run(case, folder, *(made if isinstance(made, list) else [made]))
        if end.finished.exit_status or end.board != clean.board or list(folder.glob("journals/*.bin")):
            yield at, end


def told(found: Iterator[tuple[int, End]]) -> list[str]:
    return [f"at {at}: exit {end.finished.exit_status}, {end.messages[-3:]}" for at, end in found]


# Lost and back -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_a_board_that_leaves_the_bus_at_any_transfer_is_finished_in_the_same_run(name: str, tmp_path: Path) -> None:
    case = case_called(name, tmp_path)
    assert told(sweep(case, tmp_path, lambda at: parse_fault(f"vanish:at={at},back=1"))) == []


@pytest.mark.parametrize("name", ALL)
def test_a_board_whose_supply_fails_at_any_transfer_is_finished_in_the_same_run(name: str, tmp_path: Path) -> None:
    case = case_called(name, tmp_path)
    assert told(sweep(case, tmp_path, PowerCut)) == []


@pytest.mark.parametrize("name", ["f072-release", CHANGED])
def test_a_board_that_leaves_again_and_again_is_finished_in_the_same_run(name: str, tmp_path: Path) -> None:
    """Three losses, so far apart that they meet steps, openings and proofs alike."""
    case = case_called(name, tmp_path)

    def leaves(at: int) -> list[Fault]:
        return [parse_fault(f"vanish:at={at + later},back=1") for later in (0, 35, 80)]

    assert told(sweep(case, tmp_path, leaves)) == []


@pytest.mark.parametrize("name", ["f072-release", CHANGED])
def test_a_board_may_leave_three_times_in_a_step_and_no_more(name: str, tmp_path: Path) -> None:
    case = case_called(name, tmp_path)
    clean, _ = transfers(case, tmp_path / "clean")
    end = run(case, tmp_path / "three", LeavesInWrites(REGAINS_A_STEP))
    assert (end.finished.exit_status, end.board) == (0, clean.board), end.messages
    gently = [message for message in end.messages if message.endswith("going on with write gently, in short blocks")]
    assert len(gently) == 1
    end = run(case, tmp_path / "four", LeavesInWrites(REGAINS_A_STEP + 1))
    assert (end.finished.exit_status, str(end.finished.code)) == (7, "device-lost")


@pytest.mark.parametrize("kind", ["stall", "timeout", "lost-reply", "io-error", "overflow"])
@pytest.mark.parametrize(("name", "step"), [("f072-release", 1), (CHANGED, 1), *((name, 7) for name in ALL[1:-1])])
@pytest.mark.parametrize("count", [1, 8])
def test_transfers_that_fail_anywhere_once_or_eight_times_in_a_row_are_survived(
    name: str, step: int, kind: str, count: int, tmp_path: Path
) -> None:
    case = case_called(name, tmp_path)
    assert told(sweep(case, tmp_path, lambda at: parse_fault(f"{kind}:skip={at},count={count}"), step)) == []


def test_a_protected_board_that_is_lost_at_any_transfer_is_opened_and_finished_in_the_same_run(tmp_path: Path) -> None:
    case = cases()["f072-release, protected"]
    assert told(sweep(case, tmp_path / "vanish", lambda at: parse_fault(f"vanish:at={at},back=1"))) == []
    assert told(sweep(case, tmp_path / "power", PowerCut)) == []


@pytest.mark.parametrize("count", [1, 8])
@pytest.mark.parametrize("kind", ["stall", "timeout", "lost-reply", "io-error", "overflow"])
def test_a_protected_board_on_a_bad_link_is_opened_with_one_execution_of_read_unprotect(
    kind: str, count: int, tmp_path: Path
) -> None:
    case = cases()["f072-release, protected"]
    found = told(sweep(case, tmp_path, lambda at: parse_fault(f"{kind}:skip={at},count={count}"), step=3))
    assert found == []


class CountUnprotects(Fault):
    """No fault: it counts how often Read Unprotect is executed."""

    def __init__(self) -> None:
        self.executed = 0

    def executing(self, operation: Operation) -> DfuStatus | None:
        self.executed += operation.action is Action.READ_UNPROTECT
        return None


def test_read_unprotect_is_executed_once_in_a_run_wherever_the_board_is_lost(tmp_path: Path) -> None:
    case = cases()["f072-release, protected"]
    _, count = transfers(case, tmp_path / "clean")
    counts = []
    for at in range(count):
        counter = CountUnprotects()
        run(case, tmp_path / f"at-{at}", parse_fault(f"vanish:at={at},back=1"), counter)
        counts.append(counter.executed)
    assert set(counts) == {1}


def test_read_unprotect_is_executed_twice_at_most_on_a_chip_that_stays_protected(tmp_path: Path) -> None:
    case = cases()["f072-release, protected"]
    counts = []
    for at in range(40, 200):
        counter, stays = CountUnprotects(), parse_fault("false-errvendor:count=always")
        end = run(case, tmp_path / f"at-{at}", stays, parse_fault(f"vanish:at={at},back=1"), counter)
        assert str(end.finished.code) == "still-protected", (at, end.messages)
        counts.append(counter.executed)
    assert set(counts) == {1, 2}


def test_hands_are_asked_once_for_a_power_cycle_wherever_the_board_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, asked = SimulatedOperator.ask, 0

    def count_and_ask(operator: SimulatedOperator, **what: Any) -> None:
        nonlocal asked
        asked += 1
        ask(operator, **what)

    case = cases()["f072-repair-boot"]
    _, count = transfers(case, tmp_path / "clean")
    monkeypatch.setattr(SimulatedOperator, "ask", count_and_ask)
    for runs, at in enumerate(range(count - 80, count), start=1):
        run(case, tmp_path / f"at-{at}", parse_fault(f"vanish:at={at},back=1"))
        assert asked == runs, at


class TornOptionBytes(Fault):
    """The supply fails so many seconds after a write of option bytes has begun, once."""

    def __init__(self, after_s: float) -> None:
        self._after_s: float | None = after_s

    def after(self, moment: Moment, answer: bytes) -> bytes:
        board = moment.board
        assert isinstance(board, SimulatedBoard)
        operation = board.bootloader.registers.operation if board.bootloader else None
        if self._after_s is not None and operation and operation.action is Action.WRITE_OPTION_BYTES:
            board.clock.sleep(self._after_s)
            self._after_s = None
            board.power_cycle()
        return answer


def test_option_bytes_that_a_supply_failure_has_torn_are_written_again_where_they_can_be_read(tmp_path: Path) -> None:
    fields = "DATA0: 0x12, DATA1: 0x34, WRP0: 0xFE, WRP3: 0x7F"
    (tmp_path / "recipe.yaml").write_text(
        "dfurun: 1\nname: torn\nchip: stm32f072xb\nsteps:\n  - connect\n"
        f"  - set-option-bytes: {{fields: {{{fields}}}}}\n  - check-option-bytes: {{fields: {{{fields}}}}}\n"
    )
    case = Case(compile_recipe(tmp_path / "recipe.yaml"))
    clean, _ = transfers(case, tmp_path / "clean")
    timing = case.recipe.runnable().chip.timing
    unit_s, erase_s = timing.program_unit.typical_s, timing.shortest_erase.typical_s
    ended, again = [], []
    for pairs in range(9):
        end = run(case, tmp_path / f"{pairs}", TornOptionBytes(erase_s + (pairs + 0.5) * unit_s))
        ended.append(str(end.finished.code or "passed"))
        again.append(any("not taken as a whole" in message for message in end.messages))
        if end.finished.exit_status == 0:
            assert end.board == clean.board, pairs
        else:
            assert "erased ones read as RDP level 1" in end.finished.consequence
    assert ended == ["option-bytes-differ"] + ["passed"] * 8, "RDP is the first; without it nothing can be read"
    assert again == [False] + [True] * 7 + [False]


@signals
def test_ctrl_c_ends_the_wait_for_a_lost_board(tmp_path: Path) -> None:
    end = run(cases()["f072-release"], tmp_path, LeavesInWrites(1, back_s=None, ctrl_c=True))
    assert (end.finished.exit_status, str(end.finished.code)) == (130, "interrupted")
    assert end.finished.duration_s < 2


@signals
def test_ctrl_c_does_not_end_the_wait_while_what_lies_beside_the_image_is_in_no_flash(tmp_path: Path) -> None:
    case = changed(tmp_path)
    end = run(case, tmp_path / "run", LeavesInWrites(1, ctrl_c=True))
    assert end.finished.exit_status == 130
    memory = case.recipe.runnable().images["image"].memory
    flash = case.recipe.runnable().chip.flash.extent
    assert memory.overlay(flash, end.flash) == memory.overlay(flash, case.flash), "all beside the image is there"
    assert end.flash != case.flash
    assert not list((tmp_path / "run" / "journals").glob("*.bin"))


# What is said --------------------------------------------------------------------------------------------------------


def test_people_are_told_each_time_and_the_record_counts_it(tmp_path: Path) -> None:
    case = cases()["f072-release"]
    end = run(case, tmp_path, LeavesInWrites(2))
    said = [message for message in end.messages if "is back" in message]
    assert said == ["the board left the bus and is back: going on with write"] * 2
    assert end.finished.anomalies == {"board regained": 2}
    assert [message for message in end.messages if "transfers had to be repeated" in message] == [
        "2 transfers had to be repeated or were answered wrongly"
    ]
    assert '"entry": "regained", "step": "write", "code": "device-lost"' in (
        tmp_path / "journals" / "1-1.jsonl"
    ).read_text(encoding="utf-8")


# Not back ------------------------------------------------------------------------------------------------------------


def test_a_board_that_is_not_back_in_time_is_lost_whatever_the_transfer(tmp_path: Path) -> None:
    case = cases()["f072-release"]
    timeout_s = case.recipe.runnable().chip.usb.reconnect_timeout_s
    clean, count = transfers(case, tmp_path)
    passed = []
    for at in range(count):
        end = run(case, tmp_path / f"at-{at}", parse_fault(f"vanish:at={at}"))
        if end.finished.exit_status == 0:
            passed.append(at)
            assert (end.flash, end.option_bytes) == (clean.flash, clean.option_bytes)
            continue
        assert end.finished.exit_status == 7, end.messages
        assert "after 15.0 s" in end.finished.message, end.finished.message
        assert timeout_s <= end.finished.duration_s < 3 * timeout_s
    assert passed == [count - 2, count - 1], "what was told to leave, or is just being told to, and vanishes has left"


def test_the_wait_for_a_lost_board_ends_with_the_timeout_of_its_step(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(
        "dfurun: 1\nname: short\nchip: stm32f072xb\nsteps:\n  - connect\n  - mass-erase: {timeout: 3s}\n"
    )
    case = Case(compile_recipe(tmp_path / "recipe.yaml"))
    _, count = transfers(case, tmp_path)
    lost = run(case, tmp_path, parse_fault(f"vanish:at={count - 2}"))
    assert (lost.finished.exit_status, str(lost.finished.code)) == (7, "device-lost")
    assert "was not back after 3.0 s" in lost.finished.message
    late = run(case, tmp_path, parse_fault(f"vanish:at={count - 2},back=2.95"))
    assert (late.finished.exit_status, str(late.finished.code)) == (1, "step-timeout")


def test_a_link_that_fails_for_good_ends_the_run(tmp_path: Path) -> None:
    case = cases()["f072-release"]
    for fault in ("stall:request=UPLOAD,count=always", "timeout:skip=60,count=always", "lost-reply:count=always"):
        end = run(case, tmp_path, parse_fault(fault))
        assert (end.finished.exit_status, str(end.finished.code)) == (7, "link-unreliable"), fault
        assert end.finished.evidence


# Another board -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_another_board_at_the_port_is_refused_and_left_as_it_is(name: str, tmp_path: Path) -> None:
    """From the moment that the board is known by its unique id; before that, the other one is the one that is meant."""
    case = case_called(name, tmp_path)
    clean, count = transfers(case, tmp_path / "clean")
    passed = []
    for at in range(count):
        other = case.board(unique_id=OTHER_UNIQUE_ID)
        other.power_off()
        before = bytes(other.flash.contents), other.option_bytes.stored
        swap = Swap(at, other)
        end = run(case, tmp_path / f"at-{at}", swap, other=other)
        after = bytes(other.flash.contents), other.option_bytes.stored
        if not swap.done:  # the board counts a request that met it in its reset, and no fault sees that
            assert at == count - 1
            break
        if end.finished.exit_status == 0:
            passed.append(at)
            assert after == (clean.flash, clean.option_bytes), "the other one, from connect on"
            continue
        assert end.finished.exit_status == 6, (at, end.messages)
        assert "another board is at port 1-1 now" in end.finished.message
        assert after == before
    assert passed == list(range(len(passed)))
    assert len(passed) < 30


def test_a_protected_board_in_the_place_of_an_open_one_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    case = changed(tmp_path)
    _, count = transfers(case, tmp_path / "clean")
    for at in range(40, count):
        other = Case(case.recipe, case.flash, protection=1).board(unique_id=OTHER_UNIQUE_ID)
        other.power_off()
        end = run(case, tmp_path / f"at-{at}", Swap(at, other), other=other)
        assert (end.finished.exit_status, str(end.finished.code)) == (6, "protected"), (at, end.messages)
        assert bytes(other.flash.contents) == case.flash
        sent = [e.data for e in other.trace if e.setup.name == "DNLOAD" and e.data and e.data[0] != Command.SET_ADDRESS]
        assert sent == []


# Gentle mode ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_a_link_that_carries_only_short_blocks_is_survived_in_gentle_mode(name: str, tmp_path: Path) -> None:
    case = case_called(name, tmp_path)
    clean, _ = transfers(case, tmp_path / "clean")
    end = run(case, tmp_path, LongBlocks(256))
    assert end.finished.exit_status == 0, end.messages
    assert end.board == clean.board
    assert [m for m in end.messages if m.endswith(" gently, in short blocks")]
    assert run(case, tmp_path, LongBlocks(255)).finished.exit_status == 7
