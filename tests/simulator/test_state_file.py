"""A board in a file: killed at any moment, it is found again exactly as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simulated_bench import (
    APPLICATION,
    BACK_S,
    CHIP,
    FLASH,
    Bench,
    busy,
    error,
    options,
)

from dfurun.chips import EarlyPoll, Execution
from dfurun.clock import VirtualClock
from dfurun.dfuse.protocol import DfuState, DfuStatus, erase_page_payload, set_address_payload
from dfurun.simulator import OptionReload, Running, SimulatedBoard, StateFile, parse_fault


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "board.json"


def saved(path: Path, **settings: Any) -> Bench:
    """Return a bench whose board is kept in the file."""
    bench = Bench(**settings)
    StateFile(path).keep(bench.board)
    return bench


def next_process(path: Path, *faults: str) -> Bench:
    """Return the bench of a process that starts later: a clock of its own, the board from the file."""
    bench = Bench()
    bench.clock = VirtualClock(start_s=1000)
    bench.board = StateFile(path).load(bench.clock, faults=[parse_fault(text) for text in faults])
    return bench


def test_a_download_that_was_stored_and_not_executed_is_executed_by_the_next_process(path: Path) -> None:
    """The promise that a killed run does not lose a board's dangerous moment."""
    first = saved(path, flash=bytes(4096))
    first.dnload(0, erase_page_payload(FLASH + 2048))
    second = next_process(path)
    assert second.state() is DfuState.DNLOAD_SYNC
    third = next_process(path)
    assert third.status() == busy(CHIP.timing.shortest_erase.reported_s)
    third.clock.sleep(0.04)
    assert third.status().state is DfuState.DNLOAD_IDLE
    assert third.board.flash.contents[:4096] == bytes(2048) + b"\xff" * 2048


def test_a_stored_download_can_be_aborted_by_the_next_process(path: Path) -> None:
    saved(path, flash=bytes(2048)).dnload(0, erase_page_payload(FLASH))
    second = next_process(path)
    second.abort()
    third = next_process(path)
    assert third.status().state is DfuState.IDLE
    third.clock.sleep(1)
    assert third.board.flash.contents[:2048] == bytes(2048)


def test_an_operation_goes_on_where_it_was_and_time_stands_still_between(path: Path) -> None:
    first = saved(path, flash=bytes(2048))
    first.bring_to(DfuState.DNBUSY)
    second = next_process(path)
    assert second.state() is DfuState.DNBUSY
    second.clock.sleep(0.029)
    assert second.board.flash.contents[:2048] == bytes(2048)
    second.clock.sleep(0.001)
    assert second.board.flash.contents[:2048] == b"\xff" * 2048
    assert second.status().state is DfuState.DNLOAD_IDLE


def test_a_power_cut_in_the_next_process_still_finds_the_operation_half_done(path: Path) -> None:
    first = saved(path)
    first.set_address(FLASH)
    first.dnload(2, bytes(2048))
    first.status()
    second = next_process(path)
    second.clock.sleep(100.2 * 53.5e-6)
    second.board.power_cycle()
    programmed = second.board.flash.contents[:2048].count(0)
    assert 200 <= programmed <= 204


def test_the_pointer_the_error_and_the_alternate_setting_are_kept(path: Path) -> None:
    first = saved(path)
    first.set_address(FLASH + 0x1000)
    assert first.board.device is not None
    first.board.device.alternate = 1
    first.is_refused(lambda: first.dnload(1, b"1234"))
    second = next_process(path)
    assert second.registers.pointer == FLASH + 0x1000
    assert second.board.device is not None
    assert second.board.device.alternate == 1
    assert second.status() == error(DfuStatus.ERR_STALLEDPKT)


def test_the_absence_after_a_reset_is_kept(path: Path) -> None:
    first = saved(path)
    first.start_option_write(options(b4=1))
    first.clock.sleep(CHIP.timing.option_bytes.typical_s + BACK_S / 2)
    StateFile(path).save(first.board)
    second = next_process(path)
    assert not second.board.present
    assert second.board.option_bytes.stored == options(b4=1)
    assert second.board.option_bytes.in_force == options()
    second.clock.sleep(BACK_S / 2 + 1e-6)
    assert second.board.present


def test_stored_and_in_force_ram_wear_and_counters_are_kept(path: Path) -> None:
    first = saved(path, option_reload=OptionReload.RESET, unique_id=b"twelve bytes", port=(2, 3))
    first.write(0x2000_1800, b"in RAM!!")
    first.erase_page(FLASH + 5 * 2048)
    first.write(FLASH, APPLICATION[:2048])
    second = next_process(path)
    assert second.board.flash.contents == first.board.flash.contents
    assert second.board.flash.erase_counts == first.board.flash.erase_counts
    assert second.board.flash.programmed_units == 1024
    assert second.board.memory.ram == first.board.memory.ram
    assert second.board.transfers == first.board.transfers
    assert second.board.option_reload is OptionReload.RESET
    assert (second.board.port, second.board.memory.unique_id) == ((2, 3), b"twelve bytes")
    assert second.read(0x1FFF_F7AC, 12) == b"twelve bytes"


@pytest.mark.parametrize(
    ("change", "running"),
    [
        (lambda b: b.power_off(), Running.OFF),
        (lambda b: b.power_cycle(boot0=0), Running.APPLICATION),
        (lambda b: b.set_boot0(0), Running.BOOTLOADER),
        (lambda b: b.replace_option_bytes(options(b2=0xEF)), Running.SRAM),
        (lambda b: b.protect(1), Running.BOOTLOADER),
        (lambda b: b.protect(2), Running.APPLICATION),
        (lambda b: b.unplug(back_after_s=None), Running.BOOTLOADER),
    ],
)
def test_what_hands_do_is_saved_too(path: Path, change: Callable[[SimulatedBoard], None], running: Running) -> None:
    first = saved(path, flash=APPLICATION)
    change(first.board)
    second = next_process(path)
    assert second.board.running is first.board.running is running
    assert second.board.boot0 == first.board.boot0
    assert second.board.present == first.board.present
    assert second.board.option_bytes.in_force == first.board.option_bytes.in_force


def test_a_user_dfu_is_kept(path: Path) -> None:
    saved(path, user_dfu=True)
    device = next_process(path).board.device
    assert device is not None
    assert device.usb.product == "DFU in FS Mode"


def test_every_transfer_is_saved_before_the_next(path: Path) -> None:
    bench = saved(path)
    for _ in range(3):
        bench.state()
        assert json.loads(path.read_text())["transfers"] == dict(bench.board.transfers)


def test_a_process_that_is_killed_while_it_saves_leaves_the_old_file(path: Path, monkeypatch: Any) -> None:
    bench = saved(path)
    before = path.read_text()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        bench.state()
    monkeypatch.undo()
    assert path.read_text() == before
    next_process(path).state()


def test_open_makes_a_board_where_there_is_no_file_and_finds_it_afterwards(path: Path) -> None:
    clock = VirtualClock()
    made = StateFile(path).open(clock, new=lambda: SimulatedBoard(CHIP, clock, flash=APPLICATION))
    made.set_boot0(0)
    found = StateFile(path).open(clock, new=lambda: SimulatedBoard(CHIP, clock))
    assert found.boot0 == 0
    assert found.flash.contents.startswith(APPLICATION)


def test_faults_are_the_processs_own_and_not_saved(path: Path) -> None:
    saved(path)
    assert next_process(path, "stall").is_refused(next_process(path).state) is False
    assert next_process(path).board.faults == []
    bench = next_process(path, "stall")
    assert bench.is_refused(bench.state)


@pytest.mark.parametrize("execution", Execution)
def test_the_execution_is_kept(path: Path, execution: Execution) -> None:
    saved(path, execution=execution)
    assert next_process(path).board.model.execution is execution


def test_what_a_fault_makes_of_the_rom_is_the_processs_own_and_not_saved(path: Path) -> None:
    saved(path, execution=Execution.INSIDE, early_poll=EarlyPoll.STALL)
    afflicted = next_process(path, "execution:mode=held", "early-poll:answer=busy", "poll-time:ms=7")
    assert afflicted.board.bootloader is not None
    assert afflicted.board.bootloader.model.execution is Execution.HELD
    assert afflicted.start(0, erase_page_payload(FLASH)) == busy(0.007)
    document = json.loads(path.read_text())
    assert (document["execution"], document["early_poll"]) == ("inside", "stall")
    cured = next_process(path).board.bootloader
    assert cured is not None
    assert (cured.model.execution, cured.model.early_poll) == (Execution.INSIDE, EarlyPoll.STALL)


def test_a_fault_of_the_roms_model_meets_the_bootloader_of_the_file_first(path: Path) -> None:
    """Its occasions are the starts of the bootloader; that the file is read is none."""
    saved(path, execution=Execution.BACKGROUND)
    bench = next_process(path, "execution:mode=held,count=1")
    assert bench.board.bootloader is not None
    assert bench.board.bootloader.model.execution is Execution.HELD


def test_a_file_that_knows_no_execution_has_the_chips_own(path: Path) -> None:
    saved(path, execution=Execution.INSIDE)
    document = by_hand(path)
    del document["execution"]
    path.write_text(json.dumps(document))
    assert next_process(path).board.model.execution is CHIP.rom.execution


def test_a_process_that_is_killed_while_an_answer_is_held_leaves_the_operation_under_way(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = saved(path, flash=bytes(2048), execution=Execution.HELD)
    first.dnload(0, erase_page_payload(FLASH))

    def killed(seconds: float) -> None:
        if seconds > 0.01:
            monkeypatch.undo()
            first.board.on_change = lambda: None
            raise KeyboardInterrupt

    monkeypatch.setattr(first.clock, "sleep", killed)
    with pytest.raises(KeyboardInterrupt):
        first.status()
    second = next_process(path)
    assert second.registers.state is DfuState.DNBUSY
    assert second.state() is DfuState.DNLOAD_SYNC, "answered when it has ended"
    assert second.board.flash.contents[:2048] == b"\xff" * 2048
    assert second.status().state is DfuState.DNLOAD_IDLE


def test_the_file_reads_well_and_holds_only_pages_that_are_not_erased(path: Path) -> None:
    saved(path, flash=b"\xff" * 4096 + b"\x12" * 2048)
    document = json.loads(path.read_text())
    assert document["chip"] == "stm32f072xb"
    assert document["option_bytes"]["stored"].startswith("aa 55 ff 00")
    assert document["flash"] == {"2": "12" * 2048}
    assert document["bootloader"]["state"] == "dfuIDLE"
    assert document["bootloader"]["pointer"] == "0x08000000"


def by_hand(path: Path) -> Any:
    """Return a file's content as whoever wants to change it by hand leaves it."""
    document = json.loads(path.read_text())
    assert document["version"] == 2
    assert list(document)[-1] == "digest"
    del document["digest"]
    return document | {"version": 1}


def set_in(document: Any, keys: tuple[str, ...], value: Any) -> None:
    for key in keys[:-1]:
        document = document[key]
    document[keys[-1]] = value


@pytest.mark.parametrize(
    ("keys", "value", "words"),
    [
        (("format",), "another", "format is 'another', not 'dfurun simulated board'"),
        (("version",), 3, "version is 3; this dfurun knows 1 and 2"),
        (("version",), True, "version is True; this dfurun knows 1 and 2"),
        (("version",), 2, "damaged, or changed by something else than dfurun"),
        (("digest",), "0" * 64, "damaged, or changed by something else than dfurun"),
        (("chip",), "stm32f999", "chip is 'stm32f999'; there are "),
        (("boot0",), 2, "boot0 is 2, not a number from 0 to 1"),
        (("execution",), "never", "execution is 'never', not one of background, held, inside"),
        (("running",), "walking", "running is 'walking', not one of off, bootloader"),
        (("unique_id",), "12", "unique_id has 1 bytes, not 12"),
        (("port",), [], "port is [], not a list of port numbers"),
        (("usb",), [], "usb is not an object"),
        (("usb", "connects_in_s"), -1, "usb.connects_in_s is -1, not a number of seconds"),
        (("usb", "address"), "x", "usb.address is 'x', not a number from 0 to 127"),
        (("option_bytes", "stored"), "zz", "option_bytes.stored is not a string of hex digits"),
        (("option_bytes", "in_force"), "aa", "option_bytes.in_force has 1 bytes, not 16"),
        (("option_bytes", "option_error"), 0, "option_bytes.option_error is 0, not true or false"),
        (("flash", "64"), "ff", "flash.64: the flash has the pages 0 to 63"),
        (("flash", "0"), "ff", "flash.0 has 1 bytes, not 2048"),
        (("erase_counts", "0"), True, "erase_counts.0 is True"),
        (("bootloader", "state"), "dfuHAPPY", "bootloader.state is 'dfuHAPPY', not a DFU state or status"),
        (("bootloader", "pointer"), "here", "bootloader.pointer is 'here', not an address"),
        (("bootloader", "stored"), {"block": 0, "data": ""}, "bootloader.stored.data has 0 bytes, not 1 to 2048"),
        (("bootloader", "operation"), {"action": "erase-page"}, "bootloader.operation.reported_s is missing"),
        (
            ("bootloader", "operation"),
            {
                "action": "erase-page",
                "address": "0x00000000",
                "data": "",
                "outcome": "OK",
                "reported_s": 0,
                "duration_s": 0,
                "began_s_ago": 0,
            },
            "bootloader.operation.address is 0x00000000, outside main-flash",
        ),
    ],
)
def test_a_file_with_a_wrong_value_says_where_and_what(
    path: Path, keys: tuple[str, ...], value: Any, words: str
) -> None:
    saved(path)
    document = by_hand(path)
    set_in(document, keys, value)
    path.write_text(json.dumps(document))
    with pytest.raises(ValueError) as raised:
        next_process(path)
    assert str(raised.value).startswith(f"{path}: {words}")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": 1}', "\ufeff{}", "[" * 100_000, "9" * 5000])
def test_a_foreign_file_is_refused_in_words(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError) as raised:
        next_process(path)
    assert str(raised.value).startswith(str(path))


def test_a_file_that_is_not_text_is_refused_in_words(path: Path) -> None:
    path.write_bytes(b"\x7fELF\xff\xfe")
    with pytest.raises(ValueError, match="not a simulated board"):
        next_process(path)


def test_no_file_is_file_not_found(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        next_process(path)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(missing=st.integers(2, 800))
def test_a_truncated_file_is_refused_in_words(tmp_path: Path, missing: int) -> None:
    path = tmp_path / "cut.json"
    saved(path)
    path.write_bytes(path.read_bytes()[:-missing])
    with pytest.raises(ValueError, match=r"cut\.json: not a simulated board, or cut short"):
        next_process(path)


def test_a_file_that_is_cut_anywhere_is_refused_in_words(path: Path) -> None:
    saved(path, flash=bytes(range(256)) * 16)
    whole = path.read_bytes()
    for length in [*range(0, len(whole) - 1, 97), len(whole) - 2]:
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"board\.json: "):
            next_process(path)
    path.write_bytes(whole[:-1])  # the last line's end holds nothing
    assert next_process(path).board.flash.contents[:4096] == bytes(range(256)) * 16


def test_a_flipped_bit_anywhere_is_refused_in_words(path: Path) -> None:
    saved(path, flash=bytes(range(256)) * 16)
    whole = path.read_bytes()
    for at in [*range(0, len(whole), 61), *range(len(whole) - 90, len(whole))]:
        changed = bytearray(whole)
        changed[at] ^= 1 << at % 8
        path.write_bytes(changed)
        with pytest.raises(ValueError, match=r"board\.json: "):
            next_process(path)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data(), _json)
def test_a_file_that_was_changed_by_hand_is_a_board_or_refused_in_words(
    tmp_path: Path, data: st.DataObject, value: Any
) -> None:
    path = tmp_path / "hand.json"
    bench = saved(path, flash=bytes(2048))
    bench.dnload(0, erase_page_payload(FLASH))
    bench.status()
    part = document = by_hand(path)
    while True:
        key = data.draw(st.sampled_from(sorted(part)))
        if not isinstance(part[key], dict) or not part[key] or data.draw(st.booleans()):
            break
        part = part[key]
    part[key] = value
    path.write_text(json.dumps(document))
    try:
        board = next_process(path).board
    except ValueError as error:
        words = str(error)
        board = None
    if board is None:
        assert words.startswith(str(path))
        return
    board.power_cycle(1)
    assert json.loads(path.read_text())["version"] == 2


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 7), max_size=12))
def test_a_board_that_is_reloaded_after_every_transfer_behaves_as_one_that_is_not(
    tmp_path: Path, steps: list[int]
) -> None:
    """Whatever is done, the file holds everything that matters."""
    path = tmp_path / "round.json"
    actions: list[Callable[[Bench], object]] = [
        lambda b: b.dnload(0, set_address_payload(FLASH + 2048)),
        lambda b: b.dnload(2, b"1234"),
        lambda b: b.dnload(0, erase_page_payload(FLASH)),
        lambda b: b.status(),
        lambda b: b.clock.sleep(0.05),
        lambda b: b.abort(),
        lambda b: b.upload(2, 16),
        lambda b: b.clear(),
    ]
    straight, reloaded = Bench(flash=bytes(4096)), saved(path, flash=bytes(4096))
    for step in steps:
        answers = []
        for bench in (straight, reloaded):
            try:
                answers.append(actions[step](bench))
            except Exception as failure:  # whatever it is, it has to be the same
                answers.append(type(failure))
        StateFile(path).save(reloaded.board)
        assert answers[0] == answers[1]
        reloaded = next_process(path)
    assert straight.board.flash.contents == reloaded.board.flash.contents
    assert straight.registers.state is reloaded.registers.state


def test_two_processes_may_save_at_the_same_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one saves between the first one's writing and its putting in place."""
    board = saved(path).board
    replace = Path.replace

    def overtaken(temporary: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "replace", replace)
        monkeypatch.setattr("os.getpid", lambda: 4711)
        StateFile(path).save(board)
        return replace(temporary, target)

    monkeypatch.setattr(Path, "replace", overtaken)
    StateFile(path).save(board)
    assert [file.name for file in path.parent.iterdir()] == ["board.json"]


def test_a_save_that_fails_leaves_the_old_file_and_nothing_else(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board = saved(path).board
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise PermissionError(13, "in use")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(PermissionError):
        StateFile(path).save(board)
    assert [file.name for file in path.parent.iterdir()] == ["board.json"]
    assert path.read_bytes() == before
