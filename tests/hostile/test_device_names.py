"""What a device calls itself, wherever it reaches a person, a file or a CI service: one harmless line of bounded length."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import Dfurun
from hypothesis import given
from hypothesis import strategies as st

from dfurun.chips import UsbIdentity
from dfurun.simulator import descriptors
from dfurun.text import LONGEST_FROM_DEVICE, disarm, escape, from_device

ANSI = "\x1b[2J\x1b]0;owned\x07\x9b31m"
BIDI = "\u202e\u2066\u200f"
STRINGS = {
    "ansi": f"STM32{ANSI}",
    "nul": "STM32\0\x1b[31mhidden",
    "newlines": "STM32\r\n::error file=a::owned\n\x85\u2028\u2029::add-mask::o",
    "command": "  ::stop-commands::x",
    "old-command": "STM32 ##[error]owned",
    "bidi": f"STM{BIDI}32",
    "long": "A" * 10_000,
    "markup": "[bold red]STM32[/] :warning:",
    "halves": "\ud800STM32\udfff",
    "invisible": "STM\u200b\ufeff\U000e0041\ue00032",
}


@pytest.fixture(params=STRINGS.values(), ids=list(STRINGS))
def called(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have the simulated boards call themselves, and their memories after the layout, by such a name."""
    honest = descriptors.string_descriptor

    def hostile(usb: UsbIdentity, index: int) -> bytes | None:
        told = honest(usb, index)
        if told is None or index < 2:
            return told
        name = request.param if index < 4 else told[2:].decode("utf-16-le") + request.param[:30] * (index > 4)
        body = name.encode("utf-16-le", "surrogatepass")
        return bytes([min(255, len(body) + 2), 3]) + body

    monkeypatch.setattr("dfurun.simulator.device.string_descriptor", hostile)
    return str(request.param)


def assert_harmless(shown: str) -> None:
    for line in shown.split("\n"):
        assert line == escape(line)
        assert not line.lstrip().startswith("::")
        assert "##[" not in line
        assert "A" * (LONGEST_FROM_DEVICE + 1) not in line


def texts(value: Any) -> Iterator[str]:
    """Yield all texts in a JSON value."""
    match value:
        case str():
            yield value
        case dict():
            for key, inner in value.items():
                yield from (key, *texts(inner))
        case list():
            for inner in value:
                yield from texts(inner)


def assert_harmless_json(lines: str) -> None:
    for line in lines.splitlines():
        for text in texts(json.loads(line)):
            assert_harmless(text)


VIRTUAL = ("--sim-clock", "virtual")


@pytest.mark.parametrize(
    "command",
    [("devices",), ("info", *VIRTUAL), ("info", "-vv", *VIRTUAL), ("doctor",), ("read", "-o", "${unique-id}.bin", *VIRTUAL)],
    ids=["devices", "info", "info -vv", "doctor", "read"],
)  # fmt: skip
def test_a_command_that_looks_shows_it_harmless(dfurun: Dfurun, called: str, command: tuple[str, ...]) -> None:
    words = ("--chip", "stm32f072xb") if command[0] in ("info", "read") else ()
    done = dfurun(*command, *words, "--sim")
    assert done.exit == 0, done.err
    assert_harmless(done.out)
    assert_harmless(done.err)
    if command[0] in ("devices", "info", "doctor"):
        assert from_device(called.split("\0")[0])[:100] in done.out or len(called) > 100 or "\ud800" in called
        asked = dfurun(*command, *words, "--sim", "--json")
        assert_harmless_json(asked.out)


def test_a_run_shows_logs_journals_and_records_it_harmless(
    dfurun: Dfurun, called: str, recipes: Path, tmp_path: Path
) -> None:
    dfurun("sim", "new", "board.json")
    words = (recipes / "f072-release.yaml", "--sim-state", "board.json", *VIRTUAL)
    done = dfurun("run", *words, "-vv", "--log", "log.txt", "--record", "record.json", "--format", "github")
    assert done.exit == 0, done.err
    assert_harmless(done.out)
    assert_harmless(done.err)
    assert_harmless((tmp_path / "log.txt").read_text(encoding="utf-8"))
    for text in texts(json.loads((tmp_path / "record.json").read_text(encoding="utf-8"))):
        assert_harmless(text)
    (journal,) = (tmp_path / "state" / "journals").glob("*.jsonl")
    assert_harmless_json(journal.read_text(encoding="utf-8"))
    dfurun("sim", "new", "board.json", "--force")
    assert_harmless_json(dfurun("run", *words, "--json").out)


def test_a_board_is_chosen_by_the_serial_number_that_is_shown(dfurun: Dfurun, called: str) -> None:
    shown = json.loads(dfurun("devices", "--sim", "--json").out.splitlines()[1])["serial"]
    assert dfurun("info", "--sim", *VIRTUAL, "--chip", "stm32f072xb", "--serial", shown).exit == 0


@pytest.mark.parametrize("kind", ["control", "long", "odd", "unpaired", "ascii", "garbage", "truncated"])
def test_strings_that_are_malformed_on_the_wire_are_shown_harmless(
    dfurun: Dfurun, recipes: Path, tmp_path: Path, kind: str
) -> None:
    fault = ("--sim", "--sim-fault", f"strings:kind={kind}")
    for words in (
        ("devices",),
        ("doctor",),
        ("info", "--chip", "stm32f072xb", "-vv", *VIRTUAL),
        (recipes / "f072-release.yaml", "-vv", "--log", "log.txt", "--record", "record.json", *VIRTUAL),
    ):
        done = dfurun(*words, *fault)
        assert done.exit in (0, 6), done.err  # 6: a layout that says another size than the chip has
        assert_harmless(done.out)
        assert_harmless(done.err)
    assert_harmless((tmp_path / "log.txt").read_text(encoding="utf-8"))
    for text in texts(json.loads((tmp_path / "record.json").read_text(encoding="utf-8"))):
        assert_harmless(text)


@given(st.text(max_size=400))
def test_no_text_of_a_device_is_long_invisible_or_a_command(text: str) -> None:
    shown = from_device(text)
    assert len(shown) <= LONGEST_FROM_DEVICE
    assert_harmless(shown)
    assert "\n" not in shown
    assert from_device(shown) == shown
    assert len(from_device("A" * 10_000)) == LONGEST_FROM_DEVICE
    assert disarm(escape("STM32  BOOTLOADER @/0x08000000")) == "STM32  BOOTLOADER @/0x08000000"
