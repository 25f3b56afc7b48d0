"""A board's token through the command line: printed, explained, and a simulated board that begins like that one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import Dfurun

from dfurun.chips import load_chip
from dfurun.chips.index import entries
from dfurun.dfuse.protection import Verdict
from dfurun.dfuse.token import parse_token

SIM = ("--sim", "--sim-clock", "virtual")
SPOILED = "AA557788FF00FF00FF00FF00FF00FF01"  # BOOT_SEL and nBOOT0 cleared, the complement of WRP3 wrong


@pytest.fixture
def board(dfurun: Dfurun, tmp_path: Path) -> Path:
    """A board that always starts its bootloader, with a byte of its option bytes spoiled."""
    file = tmp_path / "board.json"
    assert dfurun("sim", "new", file).exit == 0
    assert dfurun("sim", "set-option-bytes", file, "--raw", SPOILED).exit == 0
    return file


def token_of(dfurun: Dfurun, *words: object) -> str:
    done = dfurun("info", *words, "--token")
    assert (done.exit, done.err, done.out.count("\n")) == (0, "", 1)
    return done.out.strip()


def test_a_token_is_one_line_that_says_what_info_says(dfurun: Dfurun, board: Path) -> None:
    token = parse_token(token_of(dfurun, "--sim-state", board))
    assert (token.chip, token.vendor_id, token.product_id, token.release) == ("stm32f072xb", 0x0483, 0xDF11, 0x2200)
    assert (token.verdict, token.flash_size_bytes, token.texts) == (Verdict.UNPROTECTED, 128 * 1024, None)
    assert token.option_bytes == bytes.fromhex(SPOILED)
    assert token.bootloader_id in load_chip("stm32f072xb").identity.bootloader_versions


def test_the_unique_id_is_in_it_only_where_it_is_asked_for(dfurun: Dfurun, board: Path) -> None:
    assert parse_token(token_of(dfurun, "--sim-state", board)).unique_id is None
    asked = parse_token(token_of(dfurun, "--sim-state", board, "--unique-id"))
    assert asked.unique_id == bytes.fromhex("2D0030000D50534237343120")
    done = dfurun("info", *SIM, "--unique-id")
    assert (done.exit, done.codes) == (2, {"usage"})


def test_json_has_the_token_beside_everything_else(dfurun: Dfurun, board: Path) -> None:
    (told,) = dfurun("info", "--sim-state", board, "--token", "--json").lines[1:-1]
    assert told["token"] == token_of(dfurun, "--sim-state", board)
    assert told["option_bytes"]["raw"] == SPOILED.lower()
    (plain,) = dfurun("info", "--sim-state", board, "--json").lines[1:-1]
    assert "token" not in plain


def test_explain_tells_what_differs_what_is_spoiled_what_starts_and_what_puts_it_right(
    dfurun: Dfurun, board: Path
) -> None:
    token = token_of(dfurun, "--sim-state", board)
    for words in (token, token.upper(), f" `{token[:40]}\n{token[40:]}`, "):
        done = dfurun("explain", words)
        assert (done.exit, done.err) == (0, "")
        for line in (
            "chip            STM32F072xB\n",
            "unique id       left out of the token\n",
            "memory          @Internal Flash  /0x08000000/064*0002Kg\n",
            "option bytes    AA55 7788 FF00 FF00 FF00 FF00 FF00 FF01\n",
            "! the complement does not fit at +14: the chip takes those bytes as 0xFF\n",
            "BOOT_SEL          0, factory 1  +2 77 ",
            "BOOT0 low       starts the bootloader\n",
            "BOOT0 high      starts the bootloader\n",
            "\n  - set-option-bytes:\n      fields:\n        nBOOT0: 1\n        BOOT_SEL: 1\n        WRP3: 0xFF\n",
        ):
            assert line in done.out


def test_explain_tells_it_to_tools(dfurun: Dfurun, board: Path) -> None:
    (told,) = dfurun("explain", token_of(dfurun, "--sim-state", board), "--json").lines[1:-1]
    assert (told["event"], told["chip"], told["protection"], told["unique_id"]) == (
        "token",
        "stm32f072xb",
        "unprotected",
        None,
    )
    assert told["layout"] == list(load_chip("stm32f072xb").usb.alternates)
    assert told["option_bytes"]["not_as_from_factory"] == ["nBOOT0", "BOOT_SEL"]
    assert told["option_bytes"]["spoiled"] == [14]
    assert told["boots"] == {"boot0=0": "system-memory", "boot0=1": "system-memory"}
    assert told["repair"] == {"fields": {"nBOOT0": 1, "BOOT_SEL": 1, "WRP3": 255}}


def test_a_board_as_from_the_factory_needs_no_repair(dfurun: Dfurun) -> None:
    done = dfurun("explain", token_of(dfurun, *SIM))
    assert "set-option-bytes" not in done.out
    assert "the option bytes are as from the factory: there is nothing to put right\n" in done.out


@pytest.mark.parametrize("words", [("--token", "{}"), ("--token={}",), ("--sim-token", "{}")])
def test_a_simulated_board_begins_like_that_of_a_token(dfurun: Dfurun, board: Path, words: tuple[str, ...]) -> None:
    token = token_of(dfurun, "--sim-state", board)
    given = [word.format(token) for word in words]
    told, real = dfurun("info", *SIM, *given), dfurun("info", "--sim-state", board)
    assert told.exit == 0
    assert told.out == real.out
    assert dfurun("info", *SIM, *given, "--token").out.strip() == token


def as_found(chip: str, **fields: str | int) -> tuple[str, bytes]:
    layout = load_chip(chip).option_bytes
    return chip, layout.encode(layout.factory, fields)


@pytest.mark.parametrize(
    ("chip", "raw"),
    [
        as_found("stm32f042x6"),
        as_found("stm32f042x6", BOOT_SEL=0, nBOOT0=1),  # would not start the bootloader: stored, not in force
        as_found("stm32f042x6", nBOOT1=0, DATA0=0x5A),
        as_found("stm32f072x8", BOOT_SEL=0, nBOOT0=0),
        as_found("stm32f405xg", nWRP=0x7FE, BOR_LEV=0),
    ],
)
def test_what_a_token_says_is_what_the_simulated_board_says_again(dfurun: Dfurun, chip: str, raw: bytes) -> None:
    begun = parse_token(token_of(dfurun, *SIM, "--sim-chip", chip))
    token = str(replace(begun, option_bytes=raw, unique_id=bytes(range(12))))
    assert parse_token(token_of(dfurun, *SIM, "--token", token, "--unique-id")) == parse_token(token)


@pytest.mark.parametrize("chip", [entry.names[0] for entry in entries()])
def test_every_chip_s_token_makes_a_board_with_the_same_token(dfurun: Dfurun, chip: str) -> None:
    token = token_of(dfurun, *SIM, "--sim-chip", chip, "--chip", chip)
    told = dfurun("explain", token)
    assert (told.exit, told.err) == (0, "")
    assert f"chip            {load_chip(chip).title}\n" in told.out
    assert "set-option-bytes" not in told.out
    assert parse_token(token_of(dfurun, *SIM, "--token", token, "--chip", chip)) == parse_token(token)


@pytest.mark.parametrize("kind", ["protected", "user-dfu", "other layout"])
def test_boards_that_tell_less_or_otherwise_have_tokens_as_well(dfurun: Dfurun, tmp_path: Path, kind: str) -> None:
    file = tmp_path / "other.json"
    if kind == "other layout":
        texts = ("Another  BOOTLOADER", "@Internal Flash  /0x08000000/64*002Kg", "@Option Bytes  /0x1FFFF800/01*016 g")
        token = str(replace(parse_token(token_of(dfurun, *SIM)), texts=texts, release=0x2100))
        assert "this is not what the chip data has\n" in dfurun("explain", token).out
    else:
        assert dfurun("sim", "new", file, *(["--user-dfu"] if kind == "user-dfu" else [])).exit == 0
        if kind == "protected":
            assert dfurun("sim", "protect", file, "1").exit == 0
        token = token_of(dfurun, "--sim-state", file)
        assert parse_token(token).option_bytes is None
        assert dfurun("explain", token).out.endswith("option bytes    not read\n")
    again = token_of(dfurun, *SIM, "--token", token)
    assert replace(parse_token(again), texts_digest=b"") == replace(parse_token(token), texts_digest=b"")


@pytest.mark.parametrize(
    ("chip", "raw"),
    [
        ("stm32f072xb", SPOILED),
        ("stm32f042x6", "AA5577880000FF00AA55000000000000"),
        ("stm32f405xg", "E3AA1055FFFFFFFFFF0E00F0FFFFFFFF"),
    ],
)
def test_the_step_that_explain_shows_puts_the_board_right(dfurun: Dfurun, tmp_path: Path, chip: str, raw: str) -> None:
    begun = parse_token(token_of(dfurun, *SIM, "--sim-chip", chip))
    token = str(replace(begun, option_bytes=bytes.fromhex(raw)))
    explained = dfurun("explain", token)
    _, found, step = explained.out.partition("  - set-option-bytes:")
    assert found
    recipe = f"dfurun: 1\nname: Repair\nchip: {chip}\nsteps:\n  - connect\n{found}{step}"
    (tmp_path / "repair.yaml").write_text(recipe, encoding="utf-8")
    file = tmp_path / "patient.json"
    done = dfurun("run", "repair.yaml", "--sim-state", file, "--token", token, "--sim-clock", "virtual")
    assert done.exit == 0, done.err
    told = parse_token(token_of(dfurun, "--sim-state", file))
    layout = load_chip(chip).option_bytes
    assert told.option_bytes is not None
    assert layout.effective(told.option_bytes) == layout.effective(layout.factory)


def test_every_command_that_takes_a_simulated_board_takes_a_token(dfurun: Dfurun, tmp_path: Path) -> None:
    token = token_of(dfurun, *SIM, "--sim-chip", "stm32f405xg")
    assert "07*128Kg" in dfurun("devices", "--sim", "--token", token).out
    assert "STM32F405xG" in dfurun("doctor", "--sim", "--token", token).out
    assert dfurun("read", *SIM, "--token", token, "-o", "out.bin", "--length", "16").exit == 0
    assert (tmp_path / "out.bin").read_bytes()[:4] == (0x2002_0000).to_bytes(4, "little")


@pytest.mark.parametrize(
    "words", [("explain", "{}"), ("info", *SIM, "--token", "{}"), ("devices", "--sim", "--token", "{}")]
)
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: text[:-1], "the token is damaged: its checksum does not fit"),
        (lambda text: text.replace("xb-", "x8-"), "the token is damaged: its checksum does not fit"),
        (lambda text: "https://example.org/issues/1234567890#comment-9876543210", "this is no token of a board"),
        (lambda text: text.replace("dfurun1", "dfurun7"), "the token has version 7, and this dfurun reads version 1"),
        (lambda text: str(replace(parse_token(text), chip="stm32x999xx")), "a chip that this dfurun does not know"),
        (
            lambda text: str(replace(parse_token(text), option_bytes=b"\xaa\x55" * 3)),
            "the token has 6 option bytes, and STM32F072xB has 16 in this dfurun's data",
        ),
        (
            lambda text: str(replace(parse_token(text), unique_id=b"123")),
            "the token has 3 bytes of unique id, and STM32F072xB has 12 in this dfurun's data",
        ),
    ],
)
def test_a_damaged_or_foreign_token_is_wrong_usage(
    dfurun: Dfurun, words: tuple[str, ...], damage: Callable[[str], str], said: str
) -> None:
    token = damage(token_of(dfurun, *SIM))
    done = dfurun(*(word.format(token) for word in words))
    assert (done.exit, done.codes) == (2, {"usage"})
    assert said in done.err
    assert "nothing was sent to any board" in done.err


def test_what_a_token_of_a_strange_chip_says_is_not_lost(dfurun: Dfurun) -> None:
    token = replace(parse_token(token_of(dfurun, *SIM)), chip="stm32x999xx", option_bytes=bytes.fromhex("AA557788"))
    done = dfurun("explain", str(token))
    assert "device 0483:df11, bcdDevice 0x2200, not protected" in done.err
    assert "option bytes AA55 7788" in done.err


def test_a_token_makes_a_simulated_board_and_no_other(dfurun: Dfurun, board: Path) -> None:
    token = token_of(dfurun, *SIM)
    for words, said in (
        (("info", "--token", token), "--token TOKEN without a simulated board"),
        (("run", "recipe.yaml", "--token", token), "--token TOKEN without a simulated board"),
        (("info", *SIM, "--sim-chip", "f405rg", "--token", token), "the token is of a board with STM32F072xB"),
    ):
        Path("recipe.yaml").write_text("dfurun: 1\nname: Example\nchip: stm32f072xb\nsteps: [connect]\n")
        done = dfurun(*words)
        assert (done.exit, done.codes) == (2, {"usage"})
        assert said in done.err
    before = board.read_bytes()
    done = dfurun("info", "--sim-state", board, "--token", token)
    assert (done.exit, done.codes) == (2, {"sim-state"})
    assert "a token makes one board, in a file that is not there yet" in done.err
    assert board.read_bytes() == before
