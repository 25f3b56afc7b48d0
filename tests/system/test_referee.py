"""dfu-util, other people's program, against dfurun and the simulated board: what one writes the other reads, byte for byte."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from dfurun.dfuse.protocol import (
    REQUEST_TYPE_OUT,
    DfuState,
    DfuStatus,
    Request,
    mass_erase_payload,
)
from dfurun.simulator.transfer import Setup, Stall
from tests.system.conftest import Agreed
from tests.system.firmware import image, recipe, sha
from tests.system.guest_bench import CHIP, BoardInGuest, GuestBench

pytestmark = pytest.mark.system

FLASH, OPTIONS = CHIP.flash.extent, CHIP.option_bytes
ERASED = b"\xff"
FOUND = re.compile(r'Found DFU: \[(.*?)\] ver=(\w+), .*path="(.*?)", alt=(\d), name="(.*?)", serial="(.*?)"')
STATE = re.compile(r"DFU state\((\d+)\) = ([^,]+), status\((\d+)\)")

READ_ALL = (
    "  - connect\n"
    "  - read: {range: '0x08000000+128K', file: flash.bin}\n"
    "  - read: {range: '0x1FFFF800+16', file: options.bin}\n"
)
UPLOAD_ALL = ("-a", 0, "-s", f"0x{FLASH.start:08X}:{FLASH.size_bytes}", "-U", "flash.bin")
UPLOAD_OPTIONS = ("-a", 1, "-s", f"0x{OPTIONS.address:08X}:{OPTIONS.size_bytes}", "-U", "options.bin")


def out(board: BoardInGuest, request: Request, value: int = 0, data: bytes = b"") -> None:
    """Send a request past the guest, as a program would that died afterwards."""
    with board.export.board() as simulated:
        simulated.control(Setup(REQUEST_TYPE_OUT, request, value, 0, len(data)), data)


def test_both_list_the_same_board(bench: GuestBench, agreed: Agreed) -> None:
    with bench.board("1-1"):
        listed = FOUND.findall(bench.dfu_util("-l").out)
        ours = json.loads(bench.dfurun("devices", "--json").out.splitlines()[1])
    usb = CHIP.usb
    assert sorted(listed, key=lambda line: line[3]) == [
        (f"{usb.vendor_id:04x}:{usb.product_id:04x}", f"{usb.release:04x}", "1-1", str(number), name, usb.serial)
        for number, name in enumerate(usb.alternates)
    ]
    assert (ours["port"], ours["serial"], ours["layout"]) == ("1-1", usb.serial, list(usb.alternates))
    agreed(f"listed alike: port 1-1, serial number {usb.serial}, {' and '.join(usb.alternates)}")


def test_dfu_util_reads_the_descriptors_that_the_chip_data_says(bench: GuestBench, agreed: Agreed) -> None:
    with bench.board():
        said = bench.dfu_util("-a", 0, "-s", "0x08000000:2048", "-U", "page.bin").out
    assert f"Device returned transfer size {CHIP.usb.transfer_size_bytes}\n" in said
    assert "DFU mode device DFU version 011a" in said
    assert 'DfuSe interface name: "Internal Flash  "' in said
    agreed(f"transfer size {CHIP.usb.transfer_size_bytes} and DFU version 011a, as dfu-util reads them")


def test_dfurun_reads_what_dfu_util_wrote(bench: GuestBench, agreed: Agreed, tmp_path: Path) -> None:
    application = image(CHIP, 100 * 1024)
    (tmp_path / "written.bin").write_bytes(application)
    with bench.board(flash=image(CHIP, FLASH.size_bytes, seed=2)) as board:
        done = bench.dfu_util("-a", 0, "-s", "0x08000000:mass-erase:force", "-D", tmp_path / "written.bin")
        assert done.exit == 0, done
        read = bench.dfurun(recipe(tmp_path, READ_ALL))
        assert read.exit == 0, read
        found = bench.fetch(read, "flash.bin")
        assert found == board.flash == application.ljust(FLASH.size_bytes, ERASED)
    agreed(f"dfu-util wrote {len(application)} bytes after a mass erase, dfurun reads {len(found)}: {sha(found)}")


def test_dfu_util_reads_what_dfurun_wrote(bench: GuestBench, agreed: Agreed, tmp_path: Path) -> None:
    application = image(CHIP, 100 * 1024 + 6, seed=3)
    steps = "  - connect\n  - mass-erase\n  - write: {image: application}\n  - verify: {image: application}\n"
    with bench.board(flash=image(CHIP, FLASH.size_bytes, seed=2)) as board:
        done = bench.dfurun(recipe(tmp_path, steps, application=application))
        assert done.exit == 0, done
        read = bench.dfu_util(*UPLOAD_ALL)
        assert read.exit == 0, read
        found = bench.fetch(read, "flash.bin")
        assert found == board.flash == application.ljust(FLASH.size_bytes, ERASED)
    agreed(f"dfurun wrote {len(application)} bytes after a mass erase, dfu-util reads {len(found)}: {sha(found)}")


def test_dfu_util_erases_the_pages_that_it_writes_and_no_other(
    bench: GuestBench, agreed: Agreed, tmp_path: Path
) -> None:
    before, three_pages = image(CHIP, FLASH.size_bytes, seed=4), image(CHIP, 5000, seed=5)
    (tmp_path / "written.bin").write_bytes(three_pages)
    with bench.board(flash=before) as board:
        done = bench.dfu_util("-a", 0, "-s", "0x08001000", "-D", tmp_path / "written.bin")
        assert done.exit == 0, done
        with board.export.board() as simulated:
            erased = [page for page, count in enumerate(simulated.flash.erase_counts) if count]
        assert erased == [2, 3, 4]
        expected = before[:0x1000] + three_pages.ljust(0x1800, ERASED) + before[0x2800:]
        assert board.flash == expected
        read = bench.dfurun(recipe(tmp_path, READ_ALL))
        assert bench.fetch(read, "flash.bin") == expected
    agreed("dfu-util wrote 5000 bytes at 0x08001000: pages 2, 3 and 4 erased, dfurun reads the rest as it was")


def test_dfu_util_leaves_for_the_application(bench: GuestBench, agreed: Agreed, tmp_path: Path) -> None:
    application = image(CHIP, 3000, seed=6)
    (tmp_path / "written.bin").write_bytes(application)
    with bench.board() as board:
        done = bench.dfu_util("-a", 0, "-s", "0x08000000:leave", "-D", tmp_path / "written.bin")
        assert (done.exit, board.running) == (0, "application"), done
        assert "Found DFU" not in bench.dfu_util("-l").out
    agreed("dfu-util leaves: the application runs, and the bus has no board in DFU mode")


def test_option_bytes_written_by_dfu_util_are_what_dfurun_reads(
    bench: GuestBench, agreed: Agreed, tmp_path: Path
) -> None:
    raw = bytes.fromhex("AA55FF005AA5FF00FF00FF00FF00FF00")
    (tmp_path / "options.bin").write_bytes(raw)
    with bench.board() as board:
        with bench.coming_back(board):
            where = f"0x{OPTIONS.address:08X}:will-reset"
            done = bench.dfu_util("-a", 1, "-s", where, "-D", tmp_path / "options.bin")
            assert done.exit == 0, done
        assert board.option_bytes == raw
        read = bench.dfurun(recipe(tmp_path, READ_ALL))
        assert bench.fetch(read, "options.bin") == raw
        info = json.loads(bench.dfurun("info", "--json").out.splitlines()[1])
    assert info["option_bytes"]["raw"] == raw.hex()
    agreed(f"dfu-util wrote option bytes {raw.hex(' ', 2)} (will-reset), the board came back, dfurun reads the same")


def test_option_bytes_written_by_dfurun_are_what_dfu_util_reads(
    bench: GuestBench, agreed: Agreed, tmp_path: Path
) -> None:
    steps = "  - connect\n  - set-option-bytes: {fields: {DATA0: 0x12, DATA1: 0x34}}\n"
    raw = bytes.fromhex("AA55FF0012ED34CBFF00FF00FF00FF00")
    with bench.board() as board:
        with bench.coming_back(board):
            done = bench.dfurun(recipe(tmp_path, steps))
            assert done.exit == 0, done
        read = bench.dfu_util(*UPLOAD_OPTIONS)
        assert read.exit == 0, read
        assert bench.fetch(read, "options.bin") == board.option_bytes == raw
    agreed(f"dfurun wrote option bytes {raw.hex(' ', 2)}, dfu-util reads the same")


def test_both_see_a_protected_board(bench: GuestBench, agreed: Agreed) -> None:
    secret = image(CHIP, 4096, seed=7)
    with bench.board(flash=secret) as board:
        with bench.coming_back(board), board.export.board() as simulated:
            simulated.protect(1)
        read = bench.dfu_util("-a", 0, "-s", "0x08000000:2048", "-U", "page.bin")
        assert read.exit != 0, read
        info = json.loads(bench.dfurun("info", "--json").out.splitlines()[1])
        assert info["protection"]["verdict"] == "protected"
        assert board.flash.startswith(secret)
    agreed("RDP level 1: dfu-util's upload fails, dfurun says read-protected, the flash is untouched")


def test_dfu_util_unprotects_and_dfurun_finds_the_chip_open(bench: GuestBench, agreed: Agreed, tmp_path: Path) -> None:
    with bench.board(flash=image(CHIP, 4096, seed=8)) as board:
        with bench.coming_back(board), board.export.board() as simulated:
            simulated.protect(1)
        with bench.coming_back(board):
            done = bench.dfu_util("-a", 0, "-s", "0x08000000:unprotect:force", "-D", "/dev/null")
        with bench.coming_back(board):
            bench.power_cycle(board, 1)
        read = bench.dfurun(recipe(tmp_path, READ_ALL))
        assert read.exit == 0, f"{done}\n{read}"
        assert bench.fetch(read, "flash.bin") == board.flash == ERASED * FLASH.size_bytes
        assert bench.fetch(read, "options.bin") == OPTIONS.factory
    agreed("dfu-util unprotects: after a power cycle dfurun reads an erased flash and factory option bytes")


def test_dfu_util_sees_the_state_that_the_board_is_in(bench: GuestBench, agreed: Agreed) -> None:
    with bench.board() as board:
        with pytest.raises(Stall):
            out(board, Request.DNLOAD, 1, b"reserved")
        in_error = STATE.findall(bench.dfu_util("-a", 0, "-s", "0x08000000:64", "-U", "a.bin").out)
        out(board, Request.ABORT)
        idle = STATE.findall(bench.dfu_util("-a", 0, "-s", "0x08000000:64", "-U", "b.bin").out)
    states = [DfuState.ERROR, DfuState.IDLE]
    assert in_error == [
        (str(int(DfuState.ERROR)), "dfuERROR", str(int(DfuStatus.ERR_STALLEDPKT))),
        (str(int(DfuState.IDLE)), "dfuIDLE", "0"),
    ]
    assert idle == [(str(int(DfuState.IDLE)), "dfuIDLE", "0")]
    agreed(f"dfu-util reads {' and '.join(state.spelled for state in states)}, where the board is in them")


def test_a_stored_erase_is_executed_by_dfu_util_and_discarded_by_dfurun(bench: GuestBench, agreed: Agreed) -> None:
    """The danger that dfurun's first contact avoids is real for a program that begins with GETSTATUS."""
    application = image(CHIP, 4096, seed=9)
    with bench.board(flash=application) as board:
        out(board, Request.DNLOAD, 0, mass_erase_payload())
        assert bench.dfurun("info").exit == 0
        assert board.flash.startswith(application)
        out(board, Request.ABORT)
        out(board, Request.DNLOAD, 0, mass_erase_payload())
        bench.dfu_util("-a", 0, "-s", "0x08000000:64", "-U", "page.bin")
        assert board.flash == ERASED * FLASH.size_bytes
    agreed("a mass erase left stored by a dead program: `dfurun info` discards it, `dfu-util -U` executes it")
