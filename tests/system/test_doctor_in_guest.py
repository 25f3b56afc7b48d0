"""`dfurun doctor` and `dfurun read` on a real kernel: sysfs, device nodes, and a board that is really on a bus."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dfurun.chips import load_chip
from tests.system.conftest import Agreed
from tests.system.firmware import image
from tests.system.guest_bench import CHIP, GuestBench

pytestmark = pytest.mark.system

F405 = load_chip("stm32f405xg")


def checks(out: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in out.splitlines()]
    return [line for line in lines if line["event"] == "check"]


def test_the_doctor_finds_both_boards_where_the_kernel_has_them(bench: GuestBench, agreed: Agreed) -> None:
    with bench.board("1-2"), bench.board("1-3", chip=F405):
        done = bench.dfurun("doctor", "--json")
        known = bench.machine.run("sh", "-c", "cat /sys/bus/usb/devices/1-[23]/speed").out.split()
    found = checks(done.out)
    assert done.exit == 0, done
    assert [check["name"] for check in found if check["verdict"] == "problem"] == []
    boards = {check["name"]: check for check in found if check["name"].startswith("board") and check["verdict"] == "ok"}
    assert set(boards) == {"board 1-2", "board 1-3"}
    assert "STM32F072xB" in boards["board 1-2"]["message"]
    assert "STM32F405xG" in boards["board 1-3"]["message"]
    told = " ".join(" ".join(check["details"]) for check in boards.values())
    assert told.count("no hub between") == told.count("vhci_hcd") == 2
    assert all(speed in told for speed in known)
    notes = [check["message"] for check in found if check["name"] == "board 1-2" and check["verdict"] == "note"]
    assert any("25 us" in note for note in notes), "the F072's known trouble"
    agreed(f"doctor: two boards at the kernel's ports 1-2 and 1-3, {' and '.join(known)} Mbit/s, nothing in the way")


def test_read_saves_what_the_board_holds_under_its_port(bench: GuestBench, agreed: Agreed, tmp_path: Path) -> None:
    contents = image(CHIP, CHIP.flash.extent.size_bytes, seed=11)
    with bench.board("1-4", flash=contents):
        done = bench.dfurun("read", "--output", "backup-${port}.bin", "--log", "read.log")
        assert done.exit == 0, done
        assert bench.fetch(done, "backup-1-4.bin") == contents
        log = bench.fetch(done, "read.log").decode()
        again = bench.dfurun("read", "--output", "backup-${port}.bin", folder=done.folder)
    with bench.board("1-4", flash=contents[::-1]):
        other = bench.dfurun("read", "--output", "backup-${port}.bin", folder=done.folder)
    assert again.exit == 0, again
    assert other.exit == 6, other
    assert "UPLOAD" in log
    assert "libusb" in log
    agreed(f"read: {len(contents)} bytes in backup-1-4.bin, the same as the board's; another board's refused")
