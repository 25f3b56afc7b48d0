"""dfurun's recipes through a real kernel, real libusb and a bus that boards leave and come back to."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from dfurun.dfuse.protocol import DfuState, read_unprotect_payload
from tests.system.conftest import Agreed
from tests.system.firmware import image, recipe, sha
from tests.system.guest_bench import CHIP, BoardInGuest, GuestBench

pytestmark = pytest.mark.system

BLINKY = (Path(__file__).parents[2] / "recipes/firmware/f072-blinky.bin").read_bytes()
FLASH, FACTORY = CHIP.flash.extent, CHIP.option_bytes.factory
DNBUSY = bytes([DfuState.DNBUSY])
WRITE_AND_VERIFY = "  - connect\n  - mass-erase\n  - write: {image: application}\n  - verify: {image: application}\n"


def unprotects(board: BoardInGuest) -> bool:
    """Whether Read Unprotect was sent."""
    return any(entry.data == read_unprotect_payload() for entry in board.board.trace)


def test_a_factory_board_is_released(bench: GuestBench, recipes: Path, agreed: Agreed) -> None:
    with bench.board() as board:
        done = bench.dfurun(recipes / "f072-release.yaml")
        assert (done.exit, board.running) == (0, "application"), done
        assert board.flash == BLINKY.ljust(FLASH.size_bytes, b"\xff")
        assert not unprotects(board)
        assert "Found DFU" not in bench.dfu_util("-l").out
    agreed(f"f072-release.yaml on a factory board: {sha(board.flash)}, the application runs ({done.seconds:.1f} s)")


def test_a_protected_board_is_released_with_hands_at_the_bench(
    bench: GuestBench, recipes: Path, agreed: Agreed
) -> None:
    with bench.board(flash=image(CHIP, 8192)) as board:
        with bench.coming_back(board), board.export.board() as simulated:
            simulated.protect(1)
        done = bench.dfurun(recipes / "f072-release.yaml", "--json", on_line=bench.hands(board))
        assert (done.exit, board.running) == (0, "application"), done
        assert unprotects(board)
        assert board.flash == BLINKY.ljust(FLASH.size_bytes, b"\xff")
    asked = [line for line in done.out.splitlines() if json.loads(line)["event"] == "operator-asked"]
    assert len(asked) == 1
    agreed("f072-release.yaml on a protected board: one power cycle asked for, the application runs")


def test_a_board_that_starts_its_bootloader_for_ever_is_put_right(
    bench: GuestBench, recipes: Path, agreed: Agreed
) -> None:
    damaged = bytearray(FACTORY)
    damaged[2:4] = 0x77, 0x88
    with bench.board(flash=BLINKY, option_bytes=bytes(damaged)) as board:
        done = bench.dfurun(recipes / "f072-repair-boot.yaml", "--json", on_line=bench.hands(board))
        assert done.exit == 0, done
        backup = "f072-backup-2D0030000D50534237343120"
        assert bench.fetch(done, f"{backup}-option-bytes.bin") == bytes(damaged)
        assert bench.fetch(done, f"{backup}-flash.bin") == board.flash == BLINKY.ljust(FLASH.size_bytes, b"\xff")
        assert (board.option_bytes, board.running) == (FACTORY, "application")
    agreed("f072-repair-boot.yaml on USER 0x77: factory option bytes, backups equal to what was there")


def test_missed_service_is_flashed_and_verified_in_one_run(bench: GuestBench, agreed: Agreed, tmp_path: Path) -> None:
    """AN2606 table 42: seven of ten status answers are old ones."""
    application = image(CHIP, 100 * 1024, seed=11)
    with bench.board(faults=("missed-service:p=0.7,seed=7",)) as board:
        done = bench.dfurun(recipe(tmp_path, WRITE_AND_VERIFY, application=application))
        assert done.exit == 0, done
        assert board.flash == application.ljust(FLASH.size_bytes, b"\xff")
        assert not unprotects(board)
        busy = [entry for entry in board.board.trace if entry.setup.name == "GETSTATUS" and entry.answer[4:5] == DNBUSY]
        operations = sum(entry.setup.name == "DNLOAD" for entry in board.board.trace)
    assert len(busy) > 2 * operations, "of ten answers seven are old ones"
    agreed(f"missed service, p = 0.7: {len(application)} bytes flashed and verified in one run ({done.seconds:.1f} s)")


@pytest.mark.parametrize("mode", ["held", "inside"])
def test_a_rom_that_keeps_the_host_waiting_is_flashed(
    bench: GuestBench, agreed: Agreed, tmp_path: Path, mode: str
) -> None:
    """It reports no time at all, so that every poll comes too early for a ROM that could be asked meanwhile."""
    application = image(CHIP, 20 * 1024, seed=12)
    with bench.board(faults=(f"execution:mode={mode}", "poll-time:ms=0")) as board:
        done = bench.dfurun(recipe(tmp_path, WRITE_AND_VERIFY, application=application))
        assert done.exit == 0, done
        assert board.flash == application.ljust(FLASH.size_bytes, b"\xff")
        trace = list(board.board.trace)
    assert [entry.failure for entry in trace if entry.failure] == [], "none of them was stalled"
    block_s = CHIP.usb.transfer_size_bytes // 2 * CHIP.timing.program_unit.typical_s
    asked = [
        a for a, c in zip(trace, trace[2:], strict=False) if a.answer[4:5] == DNBUSY and c.at_s - a.at_s >= block_s
    ]
    kept_waiting = [entry for entry in asked if entry.setup.name == "GETSTATUS"]  # until the answer after it has come
    assert len(kept_waiting) >= len(application) // CHIP.usb.transfer_size_bytes
    agreed(
        f"execution {mode}: {len(kept_waiting)} times kept waiting, {len(application)} bytes flashed and verified in one run"
    )


def test_a_transfer_that_is_never_answered_costs_its_timeout_and_no_more(
    bench: GuestBench, agreed: Agreed, tmp_path: Path
) -> None:
    application = image(CHIP, 8 * 1024, seed=13)
    with bench.board(faults=("lost-reply:request=DNLOAD,data=1,skip=1",)) as board:
        done = bench.dfurun(recipe(tmp_path, WRITE_AND_VERIFY, application=application))
        assert done.exit == 0, done
        assert board.flash == application.ljust(FLASH.size_bytes, b"\xff")
        trace = list(board.board.trace)
    lost = next(index for index, entry in enumerate(trace) if entry.failure)
    waited_s = trace[lost + 1].at_s - trace[lost].at_s
    assert 5.0 <= waited_s < 6.0, "the transfer's timeout, and no more"
    agreed("a lost reply: the kernel's timeout and unlink, then flashed and verified in the same run")


@pytest.mark.parametrize("fault", ["vanish:at=70,back=1", "power-cut:at=70,back=1"])
def test_a_board_that_is_lost_and_back_is_regained_in_the_same_run(
    bench: GuestBench, agreed: Agreed, tmp_path: Path, fault: str
) -> None:
    """The kernel takes the device away and gives it another address; udev lets libusb hear of it."""
    application = image(CHIP, 60 * 1024, seed=14)
    with bench.board(faults=(fault,)) as board:
        done = bench.dfurun(recipe(tmp_path, WRITE_AND_VERIFY, application=application))
        assert done.exit == 0, done
        assert "the board left the bus and is back: going on with write" in done.err
        assert board.flash == application.ljust(FLASH.size_bytes, b"\xff")
    agreed(f"{fault.partition(':')[0]} in the middle of a write: back after a second, flashed and verified in one run")


def test_a_pulled_plug_is_told_and_the_second_run_ends_well(bench: GuestBench, agreed: Agreed, tmp_path: Path) -> None:
    application = image(CHIP, 60 * 1024, seed=14)
    file = recipe(tmp_path, WRITE_AND_VERIFY, application=application)
    with bench.board(faults=("vanish:at=70",)) as board:
        first = bench.dfurun(file)
        assert first.exit == 7, first
        with bench.coming_back(board):
            bench.power_cycle(board, 1)
        second = bench.dfurun(file)
        assert second.exit == 0, second
        assert board.flash == application.ljust(FLASH.size_bytes, b"\xff")
    agreed("unplugged in the middle of a write, for good: exit 7, and the second run flashes and verifies")


def test_several_boards_are_told_apart_by_their_port(bench: GuestBench, agreed: Agreed, tmp_path: Path) -> None:
    """Their serial numbers are all the same; their unique ids show which one was meant."""
    ids = {port: bytes([number]) * 12 for number, port in enumerate(("1-1", "1-2", "1-5"), 1)}
    application = image(CHIP, 6 * 1024, seed=15)
    file = recipe(tmp_path, WRITE_AND_VERIFY, application=application)
    with (
        bench.board("1-1", unique_id=ids["1-1"]) as first,
        bench.board("1-2", unique_id=ids["1-2"]) as second,
        bench.board("1-5", unique_id=ids["1-5"]) as third,
    ):
        refused = bench.dfurun(file)
        assert refused.exit == 4
        assert "1-1, 1-2, 1-5" in refused.err
        done = bench.dfurun(file, "--port", "1-5", "--record", "record.json")
        assert done.exit == 0, done
        record = json.loads(bench.fetch(done, "record.json"))
        assert record["board"]["unique_id"] == ids["1-5"].hex().upper()
        blank = b"\xff" * FLASH.size_bytes
        assert (first.flash, second.flash) == (blank, blank)
        assert third.flash == application.ljust(FLASH.size_bytes, b"\xff")
        read = bench.dfu_util("-p", "1-2", "-a", 0, "-s", "0x08000000:2048", "-U", "page.bin")
        assert bench.fetch(read, "page.bin") == b"\xff" * 2048
    agreed("three boards with one serial number: without --port exit 4; --port 1-5 flashes that one and no other")


def test_a_board_keeps_its_port_over_a_reset(bench: GuestBench, agreed: Agreed) -> None:
    with bench.board("1-3") as board, bench.board("1-4"):
        where = "cat /sys/bus/usb/devices/1-3/devnum"
        before = int(bench.run("sh", "-c", where).out)
        with bench.coming_back(board):
            bench.power_cycle(board, 1)
        after = int(bench.run("sh", "-c", where).out)
    assert after > before
    agreed(f"a power cycle at port 1-3: enumerated again at 1-3, address {before} became {after}")


RESET = """
import sys, usb.core
from dfurun.usb.libusb import find_backend
device = usb.core.find(idVendor=0x0483, idProduct=0xDF11, backend=find_backend())
device.ctrl_transfer(0x21, 1, 0, 0, b"\\x41", 1000)
device.reset()
sys.stdout.write(str(device.ctrl_transfer(0xA1, 5, 0, 0, 1, 1000)[0]))
"""


def test_a_port_reset_ends_in_the_virtual_controller(bench: GuestBench, agreed: Agreed) -> None:
    """USB/IP has no message for it: docs/simulator.md says so, and a kernel in which it is otherwise would show here."""
    with bench.board() as board:
        done = bench.run(sys.executable, "-c", RESET)
        assert (done.exit, done.out) == (0, str(int(DfuState.DNLOAD_SYNC))), done
        assert board.connections == 1
    agreed("a port reset by libusb: the board keeps its DFU state, as docs/simulator.md says of USB/IP")
