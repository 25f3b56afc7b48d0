"""dfu-util and dfurun on the simulated F405 and F042, through a real kernel."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dfurun.chips import Chip, load_chip
from tests.system.conftest import Agreed
from tests.system.firmware import image, recipe, sha
from tests.system.guest_bench import GuestBench
from tests.system.test_referee import ERASED, FOUND

pytestmark = pytest.mark.system

F042, F405 = load_chip("stm32f042x6"), load_chip("stm32f405xg")


@pytest.mark.parametrize("chip", [F042, F405], ids=lambda chip: chip.name)
def test_dfu_util_lists_every_alternate_setting(bench: GuestBench, agreed: Agreed, chip: Chip) -> None:
    with bench.board(chip=chip):
        listed = FOUND.findall(bench.dfu_util("-l").out)
        ours = json.loads(bench.dfurun("devices", "--json").out.splitlines()[1])
    told = {int(number): name for _, _, _, number, name, _ in listed}
    assert told == dict(enumerate(chip.usb.alternates))
    assert {serial for *_, serial in listed} == {ours["serial"]}
    agreed(f"{chip.title}: {len(told)} alternate settings and the serial number {ours['serial']}, listed alike")


def test_dfu_util_writes_the_sectors_of_an_f405_and_dfurun_reads_them(
    bench: GuestBench, agreed: Agreed, tmp_path: Path
) -> None:
    before, application = bytes(1 << 20), image(F405, 40_000)
    (tmp_path / "written.bin").write_bytes(application)
    with bench.board(chip=F405, flash=before) as board:
        done = bench.dfu_util("-a", 0, "-s", "0x08008000", "-D", tmp_path / "written.bin")
        assert done.exit == 0, done
        with board.export.board() as simulated:
            erased = [sector for sector, count in enumerate(simulated.flash.erase_counts) if count]
        assert erased == [2, 3, 4], "16, 16 and 64 KiB"
        steps = "  - connect\n  - read: {range: '0x08000000+128K', file: flash.bin}\n"
        read = bench.dfurun(recipe(tmp_path, steps, chip=F405.name))
        assert read.exit == 0, read
        found = bench.fetch(read, "flash.bin")
        assert found == board.flash[: 128 * 1024]
        assert found == bytes(0x8000) + application.ljust(96 * 1024, ERASED)
    agreed(f"F405: dfu-util erased sectors 2, 3 and 4 and wrote {len(application)} bytes, dfurun reads {sha(found)}")


def test_dfurun_writes_an_f405_and_dfu_util_reads_flash_option_bytes_and_otp(
    bench: GuestBench, agreed: Agreed, tmp_path: Path
) -> None:
    application = image(F405, 20_002, seed=3)
    steps = (
        "  - connect\n  - erase: {image: application}\n  - write: {image: application}\n"
        "  - verify: {image: application}\n  - set-option-bytes: {fields: {BOR_LEV: 1}}\n"
    )
    with bench.board(chip=F405, flash=bytes(1 << 20)) as board:
        done = bench.dfurun(recipe(tmp_path, steps, application=application, chip=F405.name))
        assert done.exit == 0, done
        for alternate, where, name in (
            (0, "0x08000000:32768", "flash.bin"),
            (1, "0x1FFFC000:16", "options.bin"),
            (2, "0x1FFF7800:512", "otp.bin"),
        ):
            read = bench.dfu_util("-a", alternate, "-s", where, "-U", name)
            assert read.exit == 0, read
            found = bench.fetch(read, name)
            match alternate:
                case 0:
                    assert found == board.flash[:32768] == application.ljust(32768, ERASED)
                case 1:
                    assert found == board.option_bytes == bytes.fromhex("E7AA1855FFFFFFFFFF0F00F0FFFFFFFF")
                case _:
                    assert found == ERASED * 512
    agreed("F405: dfurun wrote flash and option bytes, dfu-util reads both and the OTP memory alike")


def test_dfu_util_flashes_an_f042_and_dfurun_finds_it_equal(bench: GuestBench, agreed: Agreed, tmp_path: Path) -> None:
    application = image(F042, 32 * 1024 - 12, seed=7)
    (tmp_path / "written.bin").write_bytes(application)
    with bench.board(chip=F042, boot0=0) as board:
        done = bench.dfu_util("-a", 0, "-s", "0x08000000", "-D", tmp_path / "written.bin")
        assert done.exit == 0, done
        assert board.flash == application.ljust(32 * 1024, ERASED)
        steps = "  - connect\n  - verify: {image: application}\n  - leave-dfu\n"
        verified = bench.dfurun(recipe(tmp_path, steps, application=application, chip=F042.name))
        assert verified.exit == 0, verified
        assert board.running == "application"
    agreed(f"F042: dfu-util wrote {len(application)} bytes in pages of 1 KiB, dfurun finds them equal and leaves")
