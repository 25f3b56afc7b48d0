"""Every failure that a bench can bring, through the command line: its code, its exit status, and what it says."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from command_line import Dfurun

VIRTUAL = ("--sim-clock", "virtual")
FLASH = "write: {image: application}"


@dataclass(frozen=True)
class Situation:
    """A board, a recipe (its steps, after `connect` and before nothing), options, and what must come of it."""

    name: str
    exit: int
    code: str
    says: tuple[str, ...]
    steps: tuple[str, ...] = ()
    shipped: str = ""
    options: tuple[str, ...] = ()
    top: tuple[str, ...] = ()
    arrange: tuple[tuple[str, ...], ...] = ()
    files: dict[str, str] = field(default_factory=dict)


def fault(*texts: str) -> tuple[str, ...]:
    return tuple(word for text in texts for word in ("--sim-fault", text))


SITUATIONS = [
    Situation("a clean board", 0, "", ("PASS",), shipped="f072-release.yaml"),
    Situation(
        "the application runs already", 4, "no-device",
        ("no board in DFU mode is on the bus", "board.json --boot0 1` brings the bootloader back"),
        shipped="f072-release.yaml", arrange=(("set-option-bytes", "nBOOT1=1"), ("power-cycle", "--boot0", "0")),
    ),
    Situation(
        "another port is meant", 4, "no-device", ("no board in DFU mode at port 1-7", "what is there: 1-1  0483:df11"),
        shipped="f072-release.yaml", options=("--port", "1-7"),
    ),
    Situation(
        "another serial number is meant", 4, "no-device", ("with serial number 123",),
        shipped="f072-release.yaml", options=("--serial", "123"),
    ),
    Situation(
        "no permission", 5, "no-permission", ("may not be opened by this user", "nothing was sent to it"),
        shipped="f072-release.yaml", options=fault("no-permission"),
    ),
    Situation(
        "a driver that libusb cannot use", 5, "no-driver", ("has a driver that libusb cannot use",),
        shipped="f072-release.yaml", options=fault("no-driver"),
    ),
    Situation(
        "another program has it", 5, "device-busy", ("in use by another program", "close vendor tools"),
        shipped="f072-release.yaml", options=fault("busy"),
    ),
    Situation(
        "a protected board and no unprotect step", 6, "protected",
        ("mass-erase: the chip is read-protected", "Set Address, dfuERROR, errVENDOR", "Get Commands: answered"),
        steps=("mass-erase", FLASH), arrange=(("protect", "1"),),
    ),
    Situation(
        "write-protected pages", 6, "write-protected", ("0x08000000..0x08000FFF is write-protected", "nothing was written"),
        steps=("mass-erase", FLASH), arrange=(("set-option-bytes", "WRP0=0xFE"),),
    ),
    Situation(
        "an unexpected flash size", 6, "expectation", ("the recipe expects a flash of 64 KiB, the board has 128 KiB",),
        steps=("mass-erase",), top=("expect: {flash-size: 64K}",),
    ),
    Situation(
        "an unexpected bootloader", 6, "expectation", ("bootloader id 0x77, the board has 0xA1",),
        steps=("mass-erase",), top=("expect: {bootloader-id: 0x77}",),
    ),
    Situation(
        "a board that is not in the list", 6, "expectation", ("one of the listed unique ids",),
        steps=("mass-erase",), top=('expect: {unique-id: ["000000000000000000000000"]}',),
    ),
    Situation(
        "DFU from user flash", 6, "not-a-rom", ("a DFU program in user flash", "hold BOOT0 high"),
        steps=("set-option-bytes: {fields: {nBOOT1: 1}}",), arrange=(("new", "--user-dfu", "--force"),),
    ),
    Situation(
        "DFU from user flash that would erase itself", 6, "not-a-rom", ("holds the DFU program itself",),
        steps=("mass-erase",), arrange=(("new", "--user-dfu", "--force"),),
    ),
    Situation(
        "a live guard: bits of the board and of the recipe together", 6, "guard", ("starts SRAM",),
        steps=("mass-erase", "set-option-bytes: {fields: {nBOOT1: 0}}"),
    ),
    Situation(
        "level 2 allowed by the recipe, not by the command line", 6, "irreversible", ("--allow-irreversible",),
        steps=("set-option-bytes: {fields: {RDP: level-2}}",), top=("allow: [rdp-level-2]",),
    ),
    Situation(
        "a backup would be overwritten", 6, "file-exists", ("backup.bin is there already", "--force"),
        steps=('read: {range: "0x08000000+2K", file: backup.bin}',), files={"backup.bin": "something else"},
    ),
    Situation(
        "a backup into a folder that is a file", 1, "file-unwritable", ("cannot be written",),
        steps=('read: {range: "0x08000000+2K", file: taken/backup.bin}',), files={"taken": ""},
    ),
    Situation(
        "option bytes that are not as they should be", 1, "option-bytes-differ", ("DATA0 is 0xFF, not 0x12",),
        steps=("check-option-bytes: {fields: {DATA0: 0x12}}",),
    ),
    Situation(
        "flash that never takes what is written", 1, "verify-mismatch", ("(1 of 2)", "is still wrong after 2 more attempts"),
        shipped="f072-release.yaml", options=fault("lost-program:count=always"),
    ),
    Situation(
        "doubtful blocks that never come right", 1, "step-failed", ("is still wrong after 2 more attempts",),
        shipped="f072-release.yaml",
        options=fault("lost-program:count=always", "lost-reply:request=GETSTATUS,skip=16"),
    ),
    Situation(
        "a step that is too slow", 1, "step-timeout", ("did not end within its timeout",),
        steps=("mass-erase", "write: {image: application, timeout: 100ms}"),
    ),
    Situation(
        "flash without an application", 1, "no-application", ("the vector table is erased",),
        steps=("mass-erase", "leave-dfu"),
    ),
    Situation(
        "a board that does not leave", 1, "still-in-dfu", ("still in its bootloader at port 1-1",),
        shipped="f072-release.yaml", options=fault("stays"),
    ),
    Situation(
        "a board that starts its bootloader with BOOT0 low", 1, "still-in-dfu",
        ("with BOOT0 low the board is in DFU mode again",),
        steps=("wait-for-power-cycle: {boot0: 0}",), arrange=(("set-option-bytes", "USER=0x77"),),
    ),
    Situation(
        "a chip that stays protected", 1, "still-protected", ("still read-protected after Read Unprotect and a power cycle",),
        steps=("unprotect",), options=fault("false-errvendor:count=always"),
    ),
    Situation(
        "a link that answers nothing", 7, "link-unreliable", ("an error is never taken for read protection", "hub"),
        shipped="f072-release.yaml", options=fault("stall:request=UPLOAD,count=always"),
    ),
    Situation(
        "a link that lies about a target", 7, "link-unreliable", ("the link is unreliable",),
        shipped="f072-release.yaml", options=fault("false-errtarget:count=always"),
    ),
    Situation(
        "a plug that is pulled", 7, "device-lost", ("left the bus in the middle", "running again is safe"),
        shipped="f072-release.yaml", options=fault("vanish:at=45"),
    ),
    Situation(
        "a board that does not come back", 7, "not-back", ("option bytes written", "hold BOOT0 high"),
        steps=("set-option-bytes: {fields: {DATA0: 0x12}}",), options=fault("no-return:count=always"),
    ),
    Situation(
        "nobody to power-cycle", 7, "no-power-cycle", ("within 5.0 s", "power-cycle the board at port 1-1 with BOOT0 high"),
        steps=("unprotect: {timeout: 5s}",), arrange=(("protect", "1"),), options=("--sim-operator", "absent"),
    ),
    Situation(
        "a reserved bit that reads 0", 0, "reserved-bit-cleared", ("BOOT_SEL reads 0 and must stay 1",),
        steps=("set-option-bytes: {fields: {DATA0: 0x12}}",), arrange=(("set-option-bytes", "BOOT_SEL=0", "nBOOT0=0"),),
    ),
    Situation(
        "a DFU program that does not tell who it is", 6, "expectation", ("bootloader id 0xA1, the board does not tell",),
        steps=("erase: {pages: 20-30}",), top=("expect: {bootloader-id: 0xA1}",), arrange=(("new", "--user-dfu", "--force"),),
    ),
    Situation(
        "another board than expected shows after unprotect", 6, "expectation",
        ("bootloader id 0xA2, the board has 0xA1", "so far this run has begun to send Read Unprotect, which erases all flash"),
        steps=("unprotect",), top=("expect: {bootloader-id: 0xA2}",), arrange=(("protect", "1"),),
    ),
    Situation(
        "write protection that the recipe clears first", 0, "", ("WRP0 0xFE -> 0xFF", "PASS"),
        steps=(
            "set-option-bytes: {fields: {WRP0: 0xFF}}", "wait-for-power-cycle: {boot0: 1}", "mass-erase", FLASH,
            "verify: {image: application}",
        ),
        arrange=(("set-option-bytes", "WRP0=0xFE"),),
    ),
    Situation(
        "write protection that is cleared and still in force", 6, "write-protected", ("wait-for-power-cycle: {boot0: 1}",),
        steps=("set-option-bytes: {fields: {WRP0: 0xFF}}", "mass-erase"), arrange=(("set-option-bytes", "WRP0=0xFE"),),
    ),
    Situation(
        "a protected chip is left for another address", 6, "protected", ("can only be left for 0x08000000",),
        steps=("leave-dfu: {address: 0x08004000}",), arrange=(("protect", "1"),),
    ),
    Situation(
        "a protected chip without an application", 1, "still-in-dfu", ("still in its bootloader",),
        steps=("leave-dfu",), arrange=(("protect", "1"),),
    ),
    Situation(
        "protection that is stored and not in force", 0, "power-cycle-needed", ("at the next power-on", "PASS"),
        shipped="f072-protect.yaml",
    ),
    Situation(
        "option bytes written, and the board cannot be opened again", 7, "not-back",
        ("back and cannot be opened", "so far this run has begun to write option bytes"),
        steps=("set-option-bytes: {fields: {DATA0: 0x12}}",), options=fault("no-permission:skip=1,count=always"),
    ),
    Situation(
        "a backup that comes too late", 6, "file-exists", ("so far this run has begun to erase all flash, write application",),
        steps=("mass-erase", FLASH, 'read: {range: "0x08000000+2K", file: backup.bin}'), files={"backup.bin": "else"},
    ),
    Situation(
        "reading after the recipe has protected the chip", 6, "protected",
        ("so far this run has begun to erase all flash, write application, write option bytes",),
        steps=("mass-erase", FLASH, "set-option-bytes: {fields: {RDP: level-1}}", "verify: {image: application}"),
        top=("allow: [protects-what-follows]",), arrange=(("new", "--option-reload", "reset", "--force"),),
    ),
    Situation(
        "option bytes of a DFU program in user flash", 6, "not-a-rom", ("so far this run has begun to erase 11 pages",),
        steps=("erase: {pages: 20-30}", "check-option-bytes: {fields: {DATA0: 0xFF}}"),
        arrange=(("new", "--user-dfu", "--force"),),
    ),
    Situation(
        "a backup of option bytes from a DFU program in user flash", 6, "not-a-rom", ("hold BOOT0 high",),
        steps=('read: {range: "0x1FFFF800+16", file: option-bytes.bin}',), arrange=(("new", "--user-dfu", "--force"),),
    ),
    Situation(
        "damaged option bytes that nobody named", 6, "option-bytes-spoiled", ("does not fit at +4 (DATA0)", "stored is 0x12"),
        steps=("set-option-bytes: {fields: {DATA1: 0x34}}",),
        arrange=(("set-option-bytes", "--raw", "AA55FF0012FFFF00FF00FF00FF00FF00"),),
    ),
    Situation(
        "damaged option bytes that the recipe names", 0, "", ("DATA0 0xFF -> 0x34",),
        steps=("set-option-bytes: {fields: {DATA0: 0x34}}",),
        arrange=(("set-option-bytes", "--raw", "AA55FF0012FFFF00FF00FF00FF00FF00"),),
    ),
    Situation(
        "option bytes that do not start the bootloader any more", 7, "not-back",
        ("the new bytes do not start the bootloader again", "so far this run has begun to write option bytes"),
        steps=("set-option-bytes: {fields: {nBOOT1: 0}}",), top=("allow: [bootloader-hidden]",),
        arrange=(("new", "--option-reload", "reset", "--force"),),
    ),
    Situation(
        "a check after pages were rewritten", 1, "option-bytes-differ", ("so far this run has begun to rewrite pages of app",),
        steps=("write: {image: application, mode: changed}", "check-option-bytes: {fields: {WRP0: 0xFE}}"),
    ),
    Situation(
        "a bootloader that a power cycle has hidden", 7, "no-power-cycle",
        ("so far this run has begun to write option bytes",),
        steps=("set-option-bytes: {fields: {nBOOT1: 0}}", "wait-for-power-cycle: {boot0: 1}"),
        top=("allow: [bootloader-hidden]",),
    ),
    Situation(
        "a false errVENDOR after Read Unprotect", 0, "unreliable-answers", ("PASS",),
        shipped="f072-release.yaml", arrange=(("protect", "1"),), options=fault("false-errvendor:count=3"),
    ),
    Situation(
        "a step that was done and too late", 1, "step-timeout", ("did not end within its timeout",),
        steps=("mass-erase: {timeout: 1ms}",),
    ),
    Situation(
        "hardly any time for the power cycle", 7, "no-power-cycle", ("within 1 ms",),
        steps=("wait-for-power-cycle: {boot0: 1, timeout: 1ms}",), options=("--sim-operator", "absent"),
    ),
    Situation(
        "a link that had to be asked again", 0, "unreliable-answers", ("had to be repeated", "PASS"),
        shipped="f072-release.yaml", options=fault("stall:request=UPLOAD"),
    ),
]  # fmt: skip


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.name.replace(" ", "-"))
def test_situation(dfurun: Dfurun, recipes: Path, tmp_path: Path, situation: Situation) -> None:
    board = tmp_path / "board.json"
    assert dfurun("sim", "new", board).exit == 0
    for command, *arguments in situation.arrange:
        arranged = dfurun("sim", command, board, *arguments)
        assert arranged.exit == 0, arranged.err
    for name, content in situation.files.items():
        (tmp_path / name).write_text(content)
    recipe = recipes / situation.shipped if situation.shipped else write_recipe(tmp_path, recipes, situation)
    done = dfurun(recipe, "--sim-state", board, *VIRTUAL, *situation.options)
    assert done.exit == situation.exit, done.err
    assert situation.code in done.codes or not situation.code
    for words in situation.says:
        assert words in done.err
    assert done.out == "", "standard output is for the product"
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("steps", "faults", "blames_the_link"),
    [
        (("verify: {image: application}",), (), False),
        (("mass-erase", FLASH, "mass-erase", "verify: {image: application}"), (), False),
        (("mass-erase", FLASH, "verify: {image: application}"), fault("lost-program:count=always"), True),
    ],
    ids=["never written", "erased since", "written"],
)
def test_a_verify_blames_the_link_only_for_what_the_run_wrote(
    dfurun: Dfurun,
    recipes: Path,
    tmp_path: Path,
    steps: tuple[str, ...],
    faults: tuple[str, ...],
    blames_the_link: bool,
) -> None:
    recipe = write_recipe(tmp_path, recipes, Situation("verify", 1, "verify-mismatch", (), steps=steps))
    done = dfurun(recipe, "--sim", *VIRTUAL, *faults)
    assert (done.exit, "verify-mismatch" in done.codes) == (1, True), done.err
    assert ("another USB port or a USB 2.0 hub" in done.err) is blames_the_link
    assert ("`write` it before its `verify`, or mend the name" in done.err) is not blames_the_link


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.name.replace(" ", "-"))
def test_situation_in_json(dfurun: Dfurun, recipes: Path, tmp_path: Path, situation: Situation) -> None:
    """`hello` first, one `unit-result`, exactly one `result` last, whose exit is the process's."""
    board = tmp_path / "board.json"
    dfurun("sim", "new", board)
    for command, *arguments in situation.arrange:
        dfurun("sim", command, board, *arguments)
    for name, content in situation.files.items():
        (tmp_path / name).write_text(content)
    recipe = recipes / situation.shipped if situation.shipped else write_recipe(tmp_path, recipes, situation)
    record = tmp_path / "record.json"
    done = dfurun(recipe, "--sim-state", board, *VIRTUAL, *situation.options, "--json", "--record", record)
    assert done.err == ""
    assert done.lines[0]["event"] == "hello"
    assert [line["exit"] for line in done.lines if line["event"] == "result"] == [situation.exit]
    assert done.lines[-1] == {"event": "result", "exit": done.exit} or "error" in done.lines[-1]
    results = [line for line in done.lines if line["event"] == "unit-result"]
    assert all("unit" in line for line in done.lines if line["event"] not in ("hello", "result", "finding"))
    if situation.name != "a live guard: bits of the board and of the recipe together":
        assert len(results) == 1
        written = json.loads(record.read_text())
        assert (written["exit"], written["outcome"] == "passed") == (situation.exit, situation.exit == 0)
        if situation.exit:
            assert written["error"]["code"] == situation.code


def write_recipe(folder: Path, recipes: Path, situation: Situation) -> Path:
    image = recipes / "firmware" / "f072-blinky.hex"
    (folder / image.name).write_bytes(image.read_bytes())
    uses = any("application" in step for step in situation.steps)
    images = [
        "images:",
        "  application:",
        f"    file: {image.name}",
        '    sha256: "4ef148ec303450ecf5019dc9c8cdaa9efa3fa05e3ae018d628f7fb7cbd8bf5f7"',
    ]
    steps = ["steps:", "  - connect: {timeout: 1s}", *(f"  - {step}" for step in situation.steps)]
    head = ["dfurun: 1", f'name: "{situation.name}"', "chip: stm32f072xb", *situation.top]
    path = folder / "recipe.yaml"
    path.write_text("\n".join([*head, *(images if uses else []), *steps]) + "\n", encoding="utf-8")
    return path
