"""`dfurun read`: what is saved, under which name, and that nothing else is ever left behind."""

from __future__ import annotations

import errno
import os
import re
from hashlib import sha256
from pathlib import Path
from unittest.mock import patch

import pytest
from command_line import Dfurun, in_a_process
from test_interrupts import at_call_of

from dfurun.clock import VirtualClock
from dfurun.errors import Refused
from dfurun.simulator import StateFile
from dfurun.steps.files import save

VIRTUAL = ("--sim-clock", "virtual")
BOARD = ("--sim-state", "board.json", *VIRTUAL)
FLASH_BYTES = 128 * 1024
UNIQUE_ID = "2D0030000D50534237343120"


@pytest.fixture
def flash(dfurun: Dfurun, tmp_path: Path, recipes: Path) -> bytes:
    """The flash of a board in board.json, which holds a firmware."""
    dfurun("sim", "new", "board.json")
    dfurun("sim", "load", "board.json", recipes / "firmware" / "f072-blinky.hex")
    return bytes(StateFile(tmp_path / "board.json").load(VirtualClock()).flash.contents)


def left_behind(folder: Path) -> list[str]:
    own = ("board.json", "state", "journals")
    return sorted(p.name for p in folder.rglob("*") if p.name not in own and p.suffix != ".lock")


def test_all_flash_is_saved_and_its_hash_is_told(dfurun: Dfurun, tmp_path: Path, flash: bytes) -> None:
    done = dfurun("read", *BOARD, "--output", "backup.bin")
    assert done.exit == 0, done.err
    assert (tmp_path / "backup.bin").read_bytes() == flash
    assert len(flash) == FLASH_BYTES
    assert done.out == (
        "128 KiB from 0x08000000 of STM32F072xB at 1-1 saved to backup.bin\n"
        f"sha256 {sha256(flash).hexdigest()}\n"
    )  # fmt: skip
    assert done.err == ""


@pytest.mark.parametrize(
    ("words", "start", "size"),
    [
        (("--address", "0x08000800", "--length", "2K"), 0x800, 2048),
        (("--address", "0x0801F000"), 0x1F000, 4096),
        (("--length", "5"), 0, 5),
        (("--length", "0x801"), 0, 0x801),
    ],
)
def test_a_part_of_flash(
    dfurun: Dfurun, tmp_path: Path, flash: bytes, words: tuple[str, ...], start: int, size: int
) -> None:
    assert dfurun("read", *BOARD, "-o", "part.bin", *words).exit == 0
    assert (tmp_path / "part.bin").read_bytes() == flash[start : start + size]


def test_the_option_bytes(dfurun: Dfurun, tmp_path: Path, flash: bytes) -> None:
    assert dfurun("read", *BOARD, "-o", "options.bin", "--option-bytes").exit == 0
    assert dfurun("read", *BOARD, "-o", "same.bin", "--address", "0x1FFFF800", "--length", "16").exit == 0
    factory = bytes.fromhex("AA55FF00FF00FF00FF00FF00FF00FF00")
    assert (tmp_path / "options.bin").read_bytes() == (tmp_path / "same.bin").read_bytes() == factory


def test_the_name_is_filled_in(dfurun: Dfurun, tmp_path: Path, flash: bytes) -> None:
    done = dfurun("read", *BOARD, "-o", "saved/${chip}-${port}-${date}-${time}-${unique-id}.bin")
    assert done.exit == 0
    (name,) = left_behind(tmp_path / "saved")
    assert re.fullmatch(rf"stm32f072xb-1-1-\d{{4}}-\d\d-\d\d-\d{{6}}-{UNIQUE_ID}\.bin", name)
    assert f"saved to {Path('saved') / name}" in done.out


def test_a_file_that_is_there_is_kept_without_force(dfurun: Dfurun, tmp_path: Path, flash: bytes) -> None:
    (tmp_path / "backup.bin").write_bytes(b"precious")
    done = dfurun("read", *BOARD, "-o", "backup.bin")
    assert (done.exit, done.codes) == (6, {"file-exists"})
    assert "overwrite it with --force" in done.err
    assert (tmp_path / "backup.bin").read_bytes() == b"precious"
    assert dfurun("read", *BOARD, "-o", "backup.bin", "--force").exit == 0
    assert (tmp_path / "backup.bin").read_bytes() == flash
    assert left_behind(tmp_path) == ["backup.bin"]


def test_a_file_that_holds_the_same_already_is_a_success(dfurun: Dfurun, tmp_path: Path, flash: bytes) -> None:
    backup = tmp_path / "backup.bin"
    backup.write_bytes(flash)
    os.utime(backup, ns=(0, 0))
    done = dfurun("read", *BOARD, "-o", "backup.bin")
    assert (done.exit, done.err) == (0, "")
    assert done.out.startswith("128 KiB from 0x08000000 of STM32F072xB at 1-1 are in backup.bin already\nsha256 ")
    assert dfurun("read", *BOARD, "-o", "backup.bin", "--json").lines[-2]["written"] is False
    assert backup.stat().st_mtime_ns == 0, "it was not written again"


READ_STEP = """dfurun: 1
name: Backup
chip: stm32f072xb
steps:
  - connect
  - read: {range: "0x08000000+128K", file: backup.bin}
"""


@pytest.mark.parametrize(
    ("there", "exit_status", "reads"),
    [
        ("nothing", 0, True),
        ("the same", 0, True),
        ("as much", 6, True),
        ("less", 6, False),
        ("a link to nowhere", 6, False),
    ],
)
def test_the_step_and_the_command_have_one_rule_for_a_file_that_is_there(
    dfurun: Dfurun, tmp_path: Path, flash: bytes, there: str, exit_status: int, reads: bool
) -> None:
    (tmp_path / "save.yaml").write_text(READ_STEP)
    backup = tmp_path / "backup.bin"
    content = {"the same": flash, "as much": bytes(FLASH_BYTES), "less": flash[:-1]}.get(there)
    ends = []
    for words in (("save.yaml", *BOARD, "-v"), ("read", *BOARD, "-o", "backup.bin", "-v")):
        backup.unlink(missing_ok=True)
        if content is not None:
            backup.write_bytes(content)
        elif there == "a link to nowhere":
            backup.symlink_to(tmp_path / "gone.bin")
        done = dfurun(*words)
        assert done.exit == exit_status, done.err
        assert ("read 131072 bytes" in done.err or "read 128 KiB" in done.err) == reads, done.err
        told = done.err.split("error[file-exists]: ")[1:]
        ends.append([text.split("FAIL")[0].replace(f"{tmp_path}/", "") for text in told])
        assert content is None or backup.read_bytes() == content
    assert ends[0] == ends[1], "they say the same"


def test_a_protected_chip_is_named_with_the_evidence(dfurun: Dfurun, tmp_path: Path, flash: bytes) -> None:
    dfurun("sim", "protect", "board.json", "1")
    done = dfurun("read", *BOARD, "-o", "backup.bin")
    assert (done.exit, done.codes) == (6, {"protected"})
    assert "what is on it cannot be saved" in done.err
    assert done.err.count("dfuERROR, errVENDOR") == 3
    assert "Get Commands: answered" in done.err
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize("fault", ["vanish:at=60", "stall:request=UPLOAD,skip=20,count=always"])
def test_a_link_that_is_lost_leaves_no_file(dfurun: Dfurun, tmp_path: Path, flash: bytes, fault: str) -> None:
    done = dfurun("read", *BOARD, "-o", "backup.bin", "--sim-fault", fault)
    assert done.exit == 7, done.err
    assert left_behind(tmp_path) == []


def test_an_uploads_wrong_byte_is_not_saved(dfurun: Dfurun, tmp_path: Path, flash: bytes) -> None:
    done = dfurun("read", *BOARD, "-o", "backup.bin", "--sim-fault", "corrupt-upload:skip=10")
    assert done.exit == 0, done.err
    assert (tmp_path / "backup.bin").read_bytes() == flash


def test_a_full_disk_leaves_no_file(dfurun: Dfurun, tmp_path: Path, flash: bytes) -> None:
    with patch("dfurun.steps.files.os.fsync", side_effect=OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))):
        done = dfurun("read", *BOARD, "-o", "backup.bin")
    assert (done.exit, done.codes) == (1, {"file-unwritable"})
    assert os.strerror(errno.ENOSPC) in done.err
    assert left_behind(tmp_path) == []


def test_a_folder_is_no_file_and_is_told_before_the_long_read(dfurun: Dfurun, tmp_path: Path, flash: bytes) -> None:
    (tmp_path / "backups-1-1").mkdir()
    done = dfurun("read", *BOARD, "-o", "backups-${port}", "-v", "--force")
    assert (done.exit, done.codes) == (1, {"file-unwritable"})
    assert os.strerror(errno.EISDIR) in done.err
    assert "128 KiB" not in done.err


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
def test_ctrl_c_leaves_no_file(tmp_path: Path) -> None:
    done = in_a_process(
        "read", "--sim", *VIRTUAL, "-o", "backup.bin",
        folder=tmp_path, script=at_call_of("dfurun.simulator:SimulatedBoard", "control", 60),
    )  # fmt: skip
    assert done.exit == 130
    assert done.err.splitlines()[:2] == [
        "stopping after this operation; Ctrl-C again stops at once",
        "error[interrupted]: stopped by Ctrl-C between two operations",
    ]
    assert "the board was only read, and no file was written" in done.err
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "Missing option '--output'"),
        (("-o", ""), "a file's name is needed"),
        (("-o", "."), "--output: a file's name is needed, not that of a folder"),
        (("-o", ".."), "--output: a file's name is needed, not that of a folder"),
        (("-o", "absent/.."), "--output: a file's name is needed, not that of a folder"),
        (("-o", "state/"), "--output: a file's name is needed, not that of a folder"),
        (("-o", "state", "--force"), "--output: state is a folder"),
        (("-o", "x", "--log", "state"), "--log: state is a folder"),
        (("-o", "x", "--log", ".."), "--log: .. is a folder"),
        (("-o", "x-${prot}.bin"), "no variable 'prot'"),
        (("-o", "x-${port.bin"), "the `}` of `${port.bin` is missing"),
        (("-o", "~/${port}.bin"), "`~` is not the home folder here"),
        (("-o", "x", "--address", "flash"), "--address: 'flash' is not an address such as 0x08000000"),
        (("-o", "x", "--address", "08000000"), "--address: '08000000' begins with a zero"),
        (("-o", "x", "--address", "08000000"), "what to do: 0x08000000 in hexadecimal, 8000000 in decimal"),
        (("-o", "x", "--length", "0128K"), "what to do: 128K in decimal"),
        (("-o", "x", "--length", "128KB"), "--length: '128KB' is not a size"),
        (("-o", "x", "--length", "0"), "nothing is to be read"),
        (("-o", "x", "--option-bytes", "--length", "4"), "read as a whole"),
        (("-o", "x", "--address", "0x30000000"), "0x30000000 lies in no memory that can be read"),
        (("-o", "x", "--address", "0x0801F000", "--length", "8K"), "0x0801F000..0x08020FFF cannot be read"),
        (("-o", "x", "--address", "0x1FFFF800", "--length", "4"), "cannot be read"),
        (("-o", "x", "--chip", "stm32f072"), "`stm32f072` can mean 2 chips"),
    ],
)
def test_what_makes_no_sense_is_wrong_usage(dfurun: Dfurun, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    (tmp_path / "state").mkdir()
    done = dfurun("read", "--sim", *VIRTUAL, *words)
    assert (done.exit, done.codes) == (2, {"usage"})
    assert said in done.err
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize(
    ("board", "named", "said"),
    [
        ("stm32f405xg", "stm32f072xb", "--chip names STM32F072xB with 128 KiB, the board tells 1 MiB"),
        ("stm32f072xb", "stm32f405xg", "--chip names STM32F405xG with 1 MiB, the board tells 128 KiB"),
    ],
)
@pytest.mark.parametrize("command", [("read", "-o", "part.bin"), ("info",)])
def test_a_named_chip_that_the_board_contradicts_is_refused_before_anything_is_read_by_it(
    dfurun: Dfurun, tmp_path: Path, command: tuple[str, ...], board: str, named: str, said: str
) -> None:
    """An eighth of the flash is no backup, and what is not at the wrong chip's addresses is no bad link."""
    dfurun("sim", "new", "board.json", "--chip", board)
    done = dfurun(*command, *BOARD, "--chip", named, "-vv")
    assert (done.exit, done.codes, done.out) == (6, {"expectation"}, "")
    assert said in done.err
    assert "leave --chip out, or name the chip that has this layout: `--chip " in done.err
    assert f"`--chip {board}`" in done.err
    assert "UPLOAD" not in done.err
    assert "hub" not in done.err
    assert left_behind(tmp_path) == []
    right = dfurun(*command, *BOARD, "--chip", board)
    assert right.exit == 0, right.err


def test_info_says_whether_the_chip_is_named_or_told_by_the_layout(dfurun: Dfurun) -> None:
    def chip_line(*words: str) -> str:
        return next(
            line for line in dfurun("info", "--sim", *VIRTUAL, *words).out.splitlines() if line.startswith("chip ")
        )

    assert chip_line() == "chip            STM32F072xB, by its memory layout"
    named = chip_line("--chip", "stm32f072xb")
    assert named == "chip            STM32F072xB, as --chip names it; its memory layout fits"


def test_a_misspelt_variable_is_told_with_the_right_one(dfurun: Dfurun) -> None:
    assert "did you mean 'port'?" in dfurun("read", "--sim", *VIRTUAL, "-o", "x-${prot}.bin").err


def test_a_dfu_program_in_user_flash_has_no_option_bytes_to_save(dfurun: Dfurun, tmp_path: Path) -> None:
    dfurun("sim", "new", "board.json", "--user-dfu")
    done = dfurun("read", *BOARD, "-o", "options.bin", "--option-bytes")
    assert (done.exit, done.codes) == (6, {"not-a-rom"})
    assert left_behind(tmp_path) == []
    done = dfurun("read", *BOARD, "-o", "${unique-id}.bin")
    assert done.exit == 0, done.err
    assert (tmp_path / "unknown.bin").stat().st_size == FLASH_BYTES, "its unique id cannot be read"


def test_json_tells_what_was_saved_and_how_far_it_is(dfurun: Dfurun, tmp_path: Path, flash: bytes) -> None:
    done = dfurun("read", *BOARD, "-o", "backup.bin", "--json")
    hello, *progress, read, result = done.lines
    assert (hello["command"], result) == ("read", {"event": "result", "exit": 0})
    assert [line["activity"] for line in progress] == ["reading"] * 64 + ["reading again"] * 64
    assert progress[-1] == {"event": "progress", "activity": "reading again", "done": FLASH_BYTES, "total": FLASH_BYTES}
    assert read == {
        "event": "read",
        "port": "1-1",
        "chip": "stm32f072xb",
        "unique_id": UNIQUE_ID,
        "address": 0x0800_0000,
        "size": FLASH_BYTES,
        "file": "backup.bin",
        "sha256": sha256(flash).hexdigest(),
        "written": True,
    }


def test_quiet_says_nothing_of_a_success(dfurun: Dfurun, flash: bytes) -> None:
    done = dfurun("read", *BOARD, "-o", "backup.bin", "-q")
    assert (done.exit, done.out, done.err) == (0, "", "")


def test_a_recipe_fills_in_names_too_and_one_run_has_one_time(dfurun: Dfurun, tmp_path: Path) -> None:
    (tmp_path / "save.yaml").write_text(
        "dfurun: 1\nname: save\nchip: stm32f072xb\nsteps:\n  - connect\n"
        '  - read: {range: "0x08000000+2K", file: "${port}/${date}-${time}-flash.bin"}\n'
        '  - read: {range: "0x1FFFF800+16", file: "${port}/${date}-${time}-options.bin"}\n'
    )
    done = dfurun("save.yaml", "--sim", *VIRTUAL)
    assert done.exit == 0, done.err
    first, second = left_behind(tmp_path / "1-1")
    assert first.removesuffix("-flash.bin") == second.removesuffix("-options.bin")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d-\d{6}-flash\.bin", first)
    assert f"2 KiB saved to 1-1/{first}" in done.err


def test_a_recipes_wrong_variable_is_a_finding_at_its_place(dfurun: Dfurun, tmp_path: Path) -> None:
    (tmp_path / "save.yaml").write_text(
        "dfurun: 1\nname: save\nchip: stm32f072xb\nsteps:\n  - connect\n"
        '  - read: {range: "0x08000000+2K", file: "backup-${dat}.bin"}\n'
    )
    done = dfurun("check", "save.yaml")
    assert done.exit == 3
    assert "save.yaml:6:42: error[bad-value]: a file's name has no variable 'dat'" in done.out
    assert "did you mean 'date'?" in done.out


def test_a_link_to_nowhere_is_something_that_is_there_already(dfurun: Dfurun, tmp_path: Path) -> None:
    link = tmp_path / "backup.bin"
    link.symlink_to(tmp_path / "gone.bin")
    done = dfurun("read", "--sim", "--sim-clock", "virtual", "-o", link)
    assert done.exit == 6
    assert "error[file-exists]" in done.err
    assert link.is_symlink()


def test_a_step_saves_over_nothing_that_has_come_meanwhile(tmp_path: Path) -> None:
    link = tmp_path / "backup.bin"
    link.symlink_to(tmp_path / "gone.bin")
    with pytest.raises(Refused, match="is there already"):
        save(link, b"flash", overwrite=False)
    assert [path.name for path in tmp_path.iterdir()] == ["backup.bin"]
    assert save(link, b"flash", overwrite=True)
    assert link.read_bytes() == b"flash"
