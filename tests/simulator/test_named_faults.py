"""Every named fault does what its name says, on the transfers it was aimed at, and is the same on every run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from simulated_bench import (
    APPLICATION,
    BACK_S,
    CHIP,
    FLASH,
    Bench,
    busy,
    error,
    idle,
    options,
)

from dfurun.dfuse.protocol import DfuState, DfuStatus, erase_page_payload, set_address_payload
from dfurun.report.faults import SOURCES
from dfurun.simulator import FAULTS, Running, parse_fault
from dfurun.simulator.catalogue import catalogue
from dfurun.simulator.fault import Fault
from dfurun.simulator.fault_text import KEYS
from dfurun.simulator.faults import ActsOn, NamedFault, faults_acting_on
from dfurun.simulator.transfer import Babble, BusError, Gone, NoAnswer, Stall, TransferFailure


def with_faults(*texts: str, **settings: Any) -> Bench:
    return Bench(faults=[parse_fault(text) for text in texts], **settings)


def outcome(action: Callable[[], object]) -> str:
    try:
        action()
    except TransferFailure as failure:
        return failure.label
    return "ok"


@pytest.mark.parametrize(
    ("name", "failure"), [("stall", Stall), ("timeout", NoAnswer), ("io-error", BusError)], ids=str
)
def test_a_transfer_that_is_lost_before_the_device_changes_nothing_there(
    name: str, failure: type[TransferFailure]
) -> None:
    bench = with_faults(f"{name}:request=DNLOAD")
    with pytest.raises(failure):
        bench.dnload(0, set_address_payload(FLASH))
    assert bench.status() == idle()
    bench.set_address(FLASH)


@pytest.mark.parametrize(("name", "failure"), [("lost-reply", NoAnswer), ("overflow", Babble)], ids=str)
def test_a_lost_answer_leaves_the_device_one_step_further(name: str, failure: type[TransferFailure]) -> None:
    bench = with_faults(f"{name}:request=GETSTATUS")
    bench.dnload(0, set_address_payload(FLASH + 2048))
    with pytest.raises(failure):
        bench.status()
    assert bench.status().state is DfuState.DNLOAD_IDLE
    assert bench.registers.pointer == FLASH + 2048


@pytest.mark.parametrize(
    ("text", "outcomes"),
    [
        ("stall:request=getstate", ["STALL", "ok", "ok", "ok", "ok"]),
        ("stall:request=GETSTATE,skip=2,count=2", ["ok", "ok", "STALL", "STALL", "ok"]),
        ("stall:request=GETSTATE,count=always", ["STALL"] * 5),
        ("stall:request=UPLOAD", ["ok"] * 5),
        ("stall:direction=in,skip=1", ["ok", "STALL", "ok", "ok", "ok"]),
        ("stall:direction=out", ["ok"] * 5),
        ("stall", ["STALL", "ok", "ok", "ok", "ok"]),
    ],
)
def test_a_fault_is_aimed_by_request_direction_skip_and_count(text: str, outcomes: list[str]) -> None:
    bench = with_faults(text)
    assert [outcome(bench.state) for _ in range(5)] == outcomes


def test_data_aims_at_blocks_of_memory_and_not_at_commands() -> None:
    bench = with_faults("stall:request=UPLOAD,data=1")
    assert outcome(lambda: bench.upload(0, 64)) == "ok"
    assert outcome(lambda: bench.upload(2, 64)) == "STALL"


def test_probability_is_seeded() -> None:
    def pattern(text: str) -> list[str]:
        bench = with_faults(text)
        return [outcome(bench.state) for _ in range(40)]

    first = pattern("stall:p=0.5,count=always,seed=1")
    assert first == pattern("stall:p=0.5,count=always,seed=1")
    assert first != pattern("stall:p=0.5,count=always,seed=2")
    assert 5 < first.count("STALL") < 35


def test_faults_compose_in_their_order() -> None:
    bench = with_faults("stall:count=1", "timeout:count=1", "io-error:count=1")
    assert [outcome(bench.state) for _ in range(4)] == ["STALL", "timeout", "I/O error", "ok"]


def test_false_errvendor_looks_like_read_protection_on_an_open_chip() -> None:
    """ST community 772965."""
    bench = with_faults("false-errvendor:skip=1")
    assert outcome(lambda: bench.upload(2, 64)) == "ok"
    bench.abort()
    assert outcome(lambda: bench.upload(2, 64)) == "STALL"
    assert bench.status() == error(DfuStatus.ERR_VENDOR)
    bench.clear()
    assert bench.upload(2, 64) == b"\xff" * 64


def test_false_errtarget_refuses_a_right_address_once() -> None:
    bench = with_faults("false-errtarget")
    assert bench.execute(0, set_address_payload(FLASH + 2048)) == error(DfuStatus.ERR_TARGET)
    assert bench.registers.pointer == FLASH
    bench.clear()
    bench.set_address(FLASH + 2048)


def test_a_missed_service_repeats_the_old_busy_answer_and_nothing_moves() -> None:
    """AN2606 table 42; dfu-util ticket 78."""
    bench = with_faults("missed-service:p=1,count=2,skip=1")
    bench.board.replace_flash(bytes(2048))
    bench.dnload(0, erase_page_payload(FLASH))
    assert bench.status() == busy(0.04)
    bench.clock.sleep(0.04)
    assert [bench.status(), bench.status()] == [busy(0.04)] * 2
    assert bench.status().state is DfuState.DNLOAD_IDLE
    assert bench.board.flash.contents[:2048] == b"\xff" * 2048


def test_a_missed_service_before_the_execution_leaves_the_download_stored() -> None:
    bench = with_faults("missed-service:p=1,count=1")
    bench.board.replace_flash(bytes(2048))
    bench.dnload(0, erase_page_payload(FLASH))
    assert bench.status().state is DfuState.DNBUSY
    bench.clock.sleep(1)
    assert bench.board.flash.contents[:2048] == bytes(2048)
    assert bench.status() == busy(0.04)


def test_a_missed_getstate_repeats_the_state_that_was_told_last() -> None:
    bench = with_faults("missed-service:p=1,getstate=1")
    assert bench.state() is DfuState.IDLE
    bench.bring_to(DfuState.DNLOAD_SYNC)
    assert bench.state() is DfuState.IDLE


def test_a_missed_service_misses_no_other_request_and_no_other_state() -> None:
    bench = with_faults("missed-service:p=1")
    assert bench.status() == idle()
    bench.bring_to(DfuState.DNLOAD_SYNC)
    assert bench.state() is DfuState.DNLOAD_SYNC
    bench.abort()
    assert bench.status() == idle()


def test_a_corrupt_upload_has_one_wrong_bit_and_the_flash_none() -> None:
    bench = with_faults("corrupt-upload:seed=4", flash=APPLICATION)
    damaged = bench.read(FLASH, 64)
    difference = int.from_bytes(damaged, "little") ^ int.from_bytes(APPLICATION[:64], "little")
    assert difference.bit_count() == 1
    assert bench.read(FLASH, 64) == APPLICATION[:64]


def test_a_lost_program_is_acknowledged_and_leaves_the_flash_erased() -> None:
    """AN2606 table 42: "causing Write command to fail"."""
    bench = with_faults("lost-program:skip=1")
    bench.set_address(FLASH)
    for block in (2, 3, 4):
        bench.must(block, bytes(2048))
    assert bench.board.flash.contents[:6144] == bytes(2048) + b"\xff" * 2048 + bytes(2048)


def test_a_board_that_vanishes_comes_back_with_a_new_address_in_idle() -> None:
    bench = with_faults("vanish:at=2,back=1.5")
    address = bench.board.situation.usb_address
    bench.bring_to(DfuState.DNLOAD_SYNC)
    bench.state()
    with pytest.raises(Gone):
        bench.state()
    assert not bench.is_present()
    bench.clock.sleep(1.5)
    assert bench.status() == idle()
    assert bench.board.situation.usb_address != address


def test_a_board_that_vanishes_for_good_comes_back_with_the_power() -> None:
    bench = with_faults("vanish")
    with pytest.raises(Gone):
        bench.state()
    bench.clock.sleep(3600)
    assert not bench.is_present()
    bench.board.power_cycle()
    bench.clock.sleep(BACK_S)
    assert bench.state() is DfuState.IDLE


def test_a_board_that_stays_says_manifest_and_is_still_there() -> None:
    bench = with_faults("stays", flash=APPLICATION)
    bench.dnload(0, b"")
    assert bench.status().state is DfuState.MANIFEST
    assert bench.status().state is DfuState.MANIFEST
    assert (bench.board.running, bench.board.present) == (Running.BOOTLOADER, True)


def test_a_board_that_does_not_return_waits_for_the_power_cycle() -> None:
    bench = with_faults("no-return")
    bench.start_option_write(options(b4=1))
    bench.clock.sleep(3600)
    assert not bench.is_present()
    bench.board.power_cycle()
    bench.clock.sleep(BACK_S)
    assert bench.is_present()
    assert bench.board.option_bytes.stored == options(b4=1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stal", "there is no fault 'stal'; did you mean 'stall'?"),
        ("xyz", "there is no fault 'xyz'; there are alignment, busy, corrupt-upload, early-poll"),
        ("stall:requst=UPLOAD", "the fault stall has no 'requst'; did you mean 'request'?"),
        ("stays:request=UPLOAD", "the fault stays has no 'request'; there are count, p, seed, skip"),
        ("stall:request=UPLAOD", "the fault stall: request=UPLAOD: no such request; did you mean 'UPLOAD'?"),
        ("stall:count=0", "the fault stall: count=0: expected a number from 1 on, or 'always'"),
        ("stall:count=010", "the fault stall: count=010: it begins with a zero; 0x010 in hexadecimal, 10 in decimal"),
        ("stall:skip=-1", "the fault stall: skip=-1: expected a number from 0 on"),
        ("stall:p=2", "the fault stall: p=2: expected a probability from 0 to 1"),
        ("stall:p=x", "the fault stall: p=x: expected a number"),
        ("stall:direction=up", "the fault stall: direction=up: expected in or out"),
        ("stall:data=yes", "the fault stall: data=yes: expected 0 or 1"),
        ("vanish:back=nan", "the fault vanish: back=nan: expected a number from 0 on"),
        ("stall:count", "'stall:count': 'count' is not key=value"),
        ("execution", "the fault execution needs mode=, as in execution:mode=held"),
        ("execution:mode=hold", "the fault execution: mode=hold: no such mode; did you mean 'held'?"),
        ("execution:mode=x", "the fault execution: mode=x: no such mode; there are background, held, inside"),
        ("execution:answer=busy", "the fault execution has no 'answer'; there are count, mode, p, seed, skip"),
        ("early-poll:skip=1", "the fault early-poll needs answer=, as in early-poll:answer=busy"),
        ("early-poll:answer=stal", "the fault early-poll: answer=stal: no such answer; did you mean 'stall'?"),
        ("early-poll:answer=x", "the fault early-poll: answer=x: no such answer; there are busy, stall, stall-error"),
        ("poll-time", "the fault poll-time needs ms=, as in poll-time:ms=100"),
        ("poll-time:for=erase", "the fault poll-time needs ms=, as in poll-time:ms=100"),
        ("poll-time:ms=-1", "the fault poll-time: ms=-1: expected a number of milliseconds from 0 to 16777215"),
        ("poll-time:ms=1.5", "the fault poll-time: ms=1.5: expected a number of milliseconds from 0 to 16777215"),
        ("poll-time:ms=16777216", "the fault poll-time: ms=16777216: expected a number of milliseconds from 0"),
        ("poll-time:ms=1,for=wirte", "the fault poll-time: for=wirte: no such operation; did you mean 'write'?"),
        ("poll-time:ms=1,for=x", "the fault poll-time: for=x: no such operation; there are erase, mass-erase, option"),
    ],
)
def test_a_fault_that_cannot_be_read_says_what_is_meant(text: str, words: str) -> None:
    with pytest.raises(ValueError) as raised:
        parse_fault(text)
    assert str(raised.value).startswith(words)


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_says_in_its_docstring_what_it_does_and_from_where_that_is_known(name: str) -> None:
    kind = FAULTS[name]
    entry = next(entry for entry in catalogue() if entry.name == name)
    assert entry.confidence in SOURCES
    assert len(entry.source) > 10
    assert entry.means[0].isupper()
    assert entry.means.endswith(".")
    assert isinstance(parse_fault(entry.example), kind)
    assert kind.acts_on in ActsOn
    assert set(kind.needs) <= kind.keys
    assert {key.name for key in (*entry.keys, *entry.usual)} == kind.keys <= set(KEYS)
    moments = {moment for moment in vars(Fault) if not moment.startswith("_") and moment != "name"}
    assert any(getattr(kind, moment) is not getattr(Fault, moment) for moment in moments), "it would do nothing"


def test_every_fault_is_listed_once_by_what_it_acts_on() -> None:
    listed = [kind.name for what in ActsOn for kind in faults_acting_on(what)]
    assert sorted(listed) == sorted(FAULTS)
    assert [kind.name for kind in faults_acting_on(ActsOn.OPENING)] == ["no-permission", "no-driver", "busy"]
    assert {"stall", "mix", "strings", "vanish", "power-cut"} <= {
        kind.name for kind in faults_acting_on(ActsOn.TRANSFER)
    }
    assert {"poll-time", "wedge", "lost-erase"} <= {kind.name for kind in faults_acting_on(ActsOn.OPERATION)}
    assert {"strict", "leftover", "late-return"} <= {kind.name for kind in faults_acting_on(ActsOn.START)}


def test_a_default_is_listed_as_it_could_be_written() -> None:
    """What is not a word that stands for leaving the key out is read back as the same setting."""
    words = {"any", "either", "never", "all it concerns", "none", "nothing", "half", "all"}
    for entry in catalogue():
        kind = FAULTS[entry.name]
        clashes = {"at"} if entry.name == "power-cut" else set()
        given = [
            f"{key.name}={key.default}"
            for key in (*entry.keys, *entry.usual)
            if key.default is not None and key.default not in words and key.name not in clashes
        ]
        written = parse_fault(f"{entry.example}{',' if kind.needs else ':'}{','.join(given)}")
        plain = parse_fault(entry.example)
        assert isinstance(written, NamedFault)
        assert isinstance(plain, NamedFault)
        assert written.settings == plain.settings


def test_a_board_without_its_faults_flashes_and_with_missed_service_takes_longer() -> None:
    """dfu-util ticket 78: the same operations, many more answers."""

    def transfers(*texts: str) -> int:
        bench = with_faults(*texts)
        bench.dnload(0, erase_page_payload(FLASH))
        while bench.status().state is not DfuState.DNLOAD_IDLE:
            bench.clock.sleep(CHIP.timing.shortest_erase.reported_s)
        return bench.board.transfers["GETSTATUS"]

    assert transfers() == 2
    assert transfers("missed-service:p=0.9,seed=1") > 5
