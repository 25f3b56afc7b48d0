"""How ROMs execute and answer: in the background, holding the answer, or inside the interrupt; exact to the microsecond."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import pytest
import usb.core
from simulated_bench import BACK_S, CHIP, FLASH, OPTIONS, Bench, busy, error, idle, options

from dfurun.chips import EarlyPoll, Execution
from dfurun.dfuse.protocol import (
    REQUEST_TYPE_IN,
    REQUEST_TYPE_OUT,
    STATUS_LENGTH,
    DfuState,
    DfuStatus,
    Request,
    StatusReport,
    erase_page_payload,
    read_unprotect_payload,
    set_address_payload,
)
from dfurun.simulator import SimulatedBackend, parse_fault
from dfurun.simulator.transfer import Gone, NoAnswer, Setup, Stall
from dfurun.simulator.wire import SETUP_S, transfer_s

ERASE_S = CHIP.timing.shortest_erase.typical_s
REPORTED_S = CHIP.timing.shortest_erase.reported_s
GETSTATUS_S = transfer_s(STATUS_LENGTH)
GETSTATE_S = transfer_s(1)
AFTER_SETUP_S = GETSTATUS_S - SETUP_S
ERASED = b"\xff" * 2048
OLD = bytes(2048)
DONE = StatusReport(DfuStatus.OK, 0.0, DfuState.DNLOAD_IDLE)

GETSTATUS = Setup(REQUEST_TYPE_IN, Request.GETSTATUS, 0, 0, STATUS_LENGTH)
GETSTATE = Setup(REQUEST_TYPE_IN, Request.GETSTATE, 0, 0, 1)
ABORT = Setup(REQUEST_TYPE_OUT, Request.ABORT, 0, 0, 0)
PRODUCT_STRING = Setup(0x80, 6, 0x0302, 0x0409, 255)

every_execution = pytest.mark.parametrize("execution", Execution)
every_early_poll = pytest.mark.parametrize("early_poll", EarlyPoll)


def bench_of(execution: Execution, *faults: str, **settings: Any) -> Bench:
    """Return a board whose first page is full, with an erase of that page stored."""
    settings = {"flash": OLD, **settings}
    bench = Bench(execution=execution, faults=[parse_fault(text) for text in faults], **settings)
    bench.dnload(0, erase_page_payload(FLASH))
    return bench


def first_page(bench: Bench) -> bytes:
    return bench.board.flash.contents[:2048]


def lasting_s(bench: Bench, action: Callable[[], object]) -> float:
    """Return how long the action takes on the board's clock."""
    before_s = bench.clock.now()
    action()
    return bench.clock.now() - before_s


def asked(bench: Bench) -> tuple[StatusReport, Any]:
    """Return what GETSTATUS answers, and how long that takes."""
    before_s = bench.clock.now()
    return bench.status(), exactly(bench.clock.now() - before_s)


def is_given_up(bench: Bench, setup: Setup, timeout_s: float) -> bool:
    """Say whether the host, patient for this long, has no answer; it has to have waited exactly as long."""
    before_s = bench.clock.now()
    try:
        bench.board.control(setup, timeout_s=timeout_s)
    except NoAnswer:
        assert bench.clock.now() - before_s == pytest.approx(timeout_s, rel=1e-9)
        return True
    return False


def exactly(seconds: float) -> Any:
    return pytest.approx(seconds, abs=1e-9)


# When the answer comes, and what the next one says ---------------------------------------------------------------------


def test_in_the_background_the_answer_comes_at_once_and_the_rom_can_be_asked_meanwhile() -> None:
    """AN3156's figures."""
    bench = bench_of(Execution.BACKGROUND, early_poll=EarlyPoll.BUSY)
    assert asked(bench) == (busy(REPORTED_S), GETSTATUS_S)
    assert lasting_s(bench, bench.state) == exactly(GETSTATE_S)
    assert bench.state() is DfuState.DNBUSY
    assert bench.status() == busy(REPORTED_S)
    assert first_page(bench) == OLD
    bench.clock.sleep(ERASE_S)
    assert bench.state() is DfuState.DNLOAD_SYNC
    assert bench.status() == DONE
    assert first_page(bench) == ERASED


def test_a_held_answer_comes_when_the_operation_has_ended_and_the_next_one_is_its_result() -> None:
    """ST's USB device library; fwupd#1944."""
    bench = bench_of(Execution.HELD)
    assert asked(bench) == (busy(REPORTED_S), ERASE_S + GETSTATUS_S)
    assert first_page(bench) == ERASED
    assert asked(bench) == (DONE, GETSTATUS_S)
    assert bench.state() is DfuState.DNLOAD_IDLE


def test_inside_the_interrupt_the_answer_comes_at_once_and_the_next_request_waits() -> None:
    """usbd-dfu; fwupd#2696: the GETSTATUS after the dfuDNBUSY is answered 351 ms later, 100 ms were reported."""
    bench = bench_of(Execution.INSIDE)
    assert asked(bench) == (busy(REPORTED_S), GETSTATUS_S)
    assert first_page(bench) == OLD
    assert asked(bench) == (DONE, ERASE_S), "it had begun with the first one's SETUP"
    assert first_page(bench) == ERASED


@pytest.mark.parametrize(
    ("setup", "after_setup_s"),
    [
        (GETSTATE, GETSTATE_S - SETUP_S),
        (PRODUCT_STRING, transfer_s(2 + 2 * len("STM32  BOOTLOADER")) - SETUP_S),
        (ABORT, transfer_s(0) - SETUP_S),
        (Setup(REQUEST_TYPE_OUT, Request.CLRSTATUS, 0, 0, 0), transfer_s(0) - SETUP_S),
        (Setup(0x01, 11, 1, 0, 0), transfer_s(0) - SETUP_S),
    ],
    ids=["GETSTATE", "GET_DESCRIPTOR", "ABORT", "CLRSTATUS", "SET_INTERFACE"],
)
def test_inside_the_interrupt_no_request_of_any_kind_is_answered_before_the_end(
    setup: Setup, after_setup_s: float
) -> None:
    bench = bench_of(Execution.INSIDE)
    started_s = bench.clock.now() + SETUP_S
    bench.status()
    bench.board.control(setup)
    assert bench.clock.now() - started_s == exactly(ERASE_S + after_setup_s)
    assert first_page(bench) == ERASED


def test_a_block_is_sent_only_when_the_rom_listens_again() -> None:
    """The SETUP is taken, the data stage sees NAKs: the block's own time comes after the operation's."""
    bench = bench_of(Execution.INSIDE)
    started_s = bench.clock.now() + SETUP_S
    bench.status()
    with pytest.raises(Stall):  # dfuDNLOAD-SYNC: its result has not been fetched
        bench.dnload(2, bytes(1024))
    assert bench.clock.now() - started_s == exactly(ERASE_S + transfer_s(1024) - SETUP_S)


@every_early_poll
@pytest.mark.parametrize("execution", [Execution.HELD, Execution.INSIDE])
def test_where_nothing_is_answered_before_the_end_no_poll_comes_too_early(
    execution: Execution, early_poll: EarlyPoll
) -> None:
    bench = bench_of(execution, early_poll=early_poll)
    assert [bench.status(), bench.status()] == [busy(REPORTED_S), DONE]


@every_execution
def test_what_takes_no_time_is_answered_alike(execution: Execution) -> None:
    bench = Bench(execution=execution)
    bench.dnload(0, set_address_payload(FLASH + 2048))
    assert asked(bench) == (busy(0), GETSTATUS_S)
    assert asked(bench) == (DONE, GETSTATUS_S)
    assert bench.registers.pointer == FLASH + 2048


@every_execution
def test_a_refusal_is_the_second_answer(execution: Execution) -> None:
    """AN3156 table 4: errTARGET, after a dfuDNBUSY like any other."""
    bench = Bench(execution=execution)
    bench.dnload(0, erase_page_payload(0x2000_1800))
    assert bench.status() == busy(REPORTED_S)
    assert bench.status() == error(DfuStatus.ERR_TARGET)


@every_execution
def test_a_write_takes_as_long_and_programs_the_same_flash(execution: Execution) -> None:
    """1024 half-words of 53.5 us, from the SETUP of the GETSTATUS that executes them."""
    bench = Bench(execution=execution, early_poll=EarlyPoll.STALL)
    bench.set_address(FLASH)
    bench.dnload(2, b"\x5a" * 2048)
    ends_s = bench.clock.now() + SETUP_S + 1024 * 53.5e-6
    bench.status()
    bench.clock.sleep(ends_s - SETUP_S - bench.clock.now())
    assert bench.status() == DONE
    answered_s = ends_s + AFTER_SETUP_S + (GETSTATUS_S if execution is Execution.HELD else 0)
    assert bench.clock.now() == exactly(answered_s)
    assert first_page(bench) == b"\x5a" * 2048


# Operations that end in a reset ----------------------------------------------------------------------------------------

WANTED = options(b4=0x12)


def with_a_reset_stored(execution: Execution, operation: str) -> tuple[Bench, float]:
    """Return a board with an option-byte write or a Read Unprotect stored, and how long it will take."""
    if operation == "option bytes":
        bench = Bench(execution=execution)
        bench.set_address(OPTIONS)
        bench.dnload(2, WANTED)
        return bench, CHIP.timing.option_bytes.typical_s
    bench = Bench(execution=execution, flash=OLD, option_bytes=options(b0=0xBB, b4=0x12))
    bench.dnload(0, read_unprotect_payload())
    return bench, CHIP.timing.read_unprotect.typical_s


every_reset = pytest.mark.parametrize("operation", ["option bytes", "Read Unprotect"])


def is_done(bench: Bench, operation: str) -> bool:
    stored = bench.board.option_bytes.stored
    return stored == (WANTED if operation == "option bytes" else options()) and first_page(bench) == ERASED


@every_reset
def test_a_held_answer_to_what_resets_the_chip_never_comes(operation: str) -> None:
    bench, duration_s = with_a_reset_stored(Execution.HELD, operation)
    before_s = bench.clock.now()
    with pytest.raises(Gone):
        bench.status()
    assert bench.clock.now() - before_s == pytest.approx(SETUP_S + duration_s, abs=GETSTATUS_S)
    assert not bench.is_present()
    assert is_done(bench, operation)
    bench.clock.sleep(BACK_S)
    assert bench.status() == idle()


@every_reset
def test_a_request_that_waits_for_what_resets_the_chip_meets_a_device_that_is_gone(operation: str) -> None:
    bench, duration_s = with_a_reset_stored(Execution.INSIDE, operation)
    before_s = bench.clock.now()
    assert bench.status().state is DfuState.DNBUSY
    with pytest.raises(Gone):
        bench.state()
    assert bench.clock.now() - before_s == pytest.approx(SETUP_S + duration_s, abs=GETSTATUS_S)
    assert is_done(bench, operation)
    bench.clock.sleep(BACK_S)
    assert bench.status() == idle()


# A host that is not patient enough -------------------------------------------------------------------------------------


def test_a_host_that_gives_a_held_answer_up_loses_it_and_the_operation_goes_on() -> None:
    """EmuConfigurator#290: a timeout of a second, and an erase that takes longer."""
    bench = bench_of(Execution.HELD)
    started_s = bench.clock.now() + SETUP_S
    assert is_given_up(bench, GETSTATUS, 0.010)
    assert first_page(bench) == OLD
    assert is_given_up(bench, GETSTATE, 0.010), "nothing else is answered either"
    assert first_page(bench) == OLD
    assert bench.state() is DfuState.DNLOAD_SYNC
    assert bench.clock.now() - started_s == exactly(ERASE_S + GETSTATE_S - SETUP_S)
    assert first_page(bench) == ERASED
    assert bench.status() == DONE, "the lost answer was the dfuDNBUSY"
    assert bench.board.flash.erase_counts[0] == 1


def test_a_request_that_is_given_up_while_the_rom_is_inside_has_changed_nothing() -> None:
    bench = bench_of(Execution.INSIDE)
    bench.status()
    assert is_given_up(bench, ABORT, 0.010)
    assert is_given_up(bench, GETSTATUS, 0.010)
    bench.clock.sleep(ERASE_S)
    assert bench.state() is DfuState.DNLOAD_SYNC, "the ABORT was not served"
    assert bench.status() == DONE, "nor was the GETSTATUS"
    assert first_page(bench) == ERASED


def test_a_read_that_is_given_up_while_the_flash_is_busy_has_changed_nothing() -> None:
    """RM0091 section 3.2.1: a read stalls the bus until the operation has completed."""
    bench = bench_of(Execution.BACKGROUND, early_poll=EarlyPoll.STALL_ERROR)
    bench.status()
    bench.is_refused(bench.status)
    bench.clear()
    assert is_given_up(bench, Setup(REQUEST_TYPE_IN, Request.UPLOAD, 2, 0, 64), 0.010)
    assert bench.state() is DfuState.IDLE
    assert first_page(bench) == OLD
    assert bench.upload(2, 64) == ERASED[:64]


def test_a_second_command_that_is_given_up_while_the_flash_is_busy_stays_stored() -> None:
    bench = bench_of(Execution.BACKGROUND, early_poll=EarlyPoll.STALL_ERROR, flash=OLD * 2)
    bench.status()
    bench.is_refused(bench.status)
    bench.clear()
    bench.dnload(0, erase_page_payload(FLASH + 2048))
    assert is_given_up(bench, GETSTATUS, 0.010)
    assert bench.state() is DfuState.DNLOAD_SYNC
    bench.clock.sleep(1)
    assert bench.board.flash.contents[:4096] == ERASED + OLD
    bench.abort()
    bench.clock.sleep(1)
    assert bench.board.flash.contents[:4096] == ERASED + OLD


@pytest.mark.parametrize("execution", [Execution.HELD, Execution.INSIDE])
def test_a_host_that_is_patient_enough_has_every_answer(execution: Execution) -> None:
    bench = bench_of(execution)
    answers = [bench.board.control(GETSTATUS, timeout_s=ERASE_S + 1e-4) for _ in range(2)]
    assert [StatusReport.unpack(answer) for answer in answers] == [busy(REPORTED_S), DONE]


@pytest.mark.parametrize("fault", ["timeout", "lost-reply"])
def test_a_lost_transfer_lasts_until_the_host_gives_it_up(fault: str) -> None:
    bench = bench_of(Execution.BACKGROUND, f"{fault}:request=GETSTATE,count=2")
    assert is_given_up(bench, GETSTATE, 2.5)
    before_s = bench.clock.now()
    with pytest.raises(NoAnswer):
        bench.board.control(GETSTATE)
    assert bench.clock.now() - before_s <= GETSTATE_S, "without a timeout it is known at once"


def test_a_lost_held_answer_is_missed_from_the_beginning_of_its_transfer() -> None:
    bench = bench_of(Execution.HELD, "lost-reply:request=GETSTATUS")
    assert is_given_up(bench, GETSTATUS, 0.5)
    assert first_page(bench) == ERASED
    assert bench.status() == DONE


def test_what_the_host_gave_up_is_in_the_trace_and_was_seen_by_the_device() -> None:
    bench = bench_of(Execution.HELD)
    assert is_given_up(bench, GETSTATUS, 0.010)
    assert [(entry.setup.name, entry.failure) for entry in bench.board.trace] == [
        ("DNLOAD", None),
        ("GETSTATUS", "timeout"),
    ]
    assert bench.board.transfers == {"DNLOAD": 1, "GETSTATUS": 1}


# The same through pyusb --------------------------------------------------------------------------------------------------


def pyusb_device(bench: Bench) -> Any:
    device = usb.core.find(idVendor=0x0483, idProduct=0xDF11, backend=SimulatedBackend([bench.board]))
    assert device is not None
    return device


def get_status(device: Any, *, timeout_ms: int) -> StatusReport:
    return StatusReport.unpack(
        bytes(device.ctrl_transfer(REQUEST_TYPE_IN, Request.GETSTATUS, 0, 0, STATUS_LENGTH, timeout=timeout_ms))
    )


def test_pyusb_times_out_on_a_held_answer_after_exactly_its_timeout() -> None:
    bench = bench_of(Execution.HELD)
    device = pyusb_device(bench)
    before_s = bench.clock.now()
    with pytest.raises(usb.core.USBTimeoutError) as raised:
        get_status(device, timeout_ms=10)
    assert (raised.value.backend_error_code, raised.value.errno) == (-7, errno.ETIMEDOUT)
    assert bench.clock.now() - before_s == exactly(0.010)
    assert first_page(bench) == OLD
    assert get_status(device, timeout_ms=1000) == DONE
    assert bench.clock.now() - before_s == exactly(ERASE_S + GETSTATUS_S)
    assert first_page(bench) == ERASED


def test_pyusb_times_out_on_a_rom_that_is_inside_after_exactly_its_timeout() -> None:
    bench = bench_of(Execution.INSIDE)
    device = pyusb_device(bench)
    assert get_status(device, timeout_ms=10) == busy(REPORTED_S)
    before_s = bench.clock.now()
    with pytest.raises(usb.core.USBTimeoutError):
        get_status(device, timeout_ms=10)
    assert bench.clock.now() - before_s == exactly(0.010)
    assert get_status(device, timeout_ms=1000) == DONE


def test_a_timeout_of_zero_waits_for_ever_as_libusb_has_it() -> None:
    bench = bench_of(Execution.HELD)
    assert get_status(pyusb_device(bench), timeout_ms=0) == busy(REPORTED_S)


def test_pyusb_finds_no_device_where_a_held_answer_ends_in_a_reset() -> None:
    bench, _ = with_a_reset_stored(Execution.HELD, "option bytes")
    with pytest.raises(usb.core.USBError) as raised:
        get_status(pyusb_device(bench), timeout_ms=1000)
    assert (raised.value.backend_error_code, raised.value.errno) == (-4, errno.ENODEV)


# Missed service ----------------------------------------------------------------------------------------------------------


@every_execution
def test_a_missed_getstatus_answers_the_old_busy_and_changes_nothing_whenever_it_comes(execution: Execution) -> None:
    """AN2606 table 42. Before anything was executed, before this erase was, and after it has ended."""
    bench = bench_of(
        execution, "missed-service:p=1,count=1", "missed-service:p=1,count=1,skip=1", early_poll=EarlyPoll.BUSY
    )
    assert bench.status() == busy(0), "no dfuDNBUSY is old yet: one without a time"
    assert bench.registers.stored is not None
    assert bench.registers.state is DfuState.DNLOAD_SYNC
    bench.clock.sleep(1)
    assert first_page(bench) == OLD
    assert bench.status() == busy(REPORTED_S), "now it is served and executed"
    bench.clock.sleep(1)
    assert bench.status() == busy(REPORTED_S), "missed again, though it has ended"
    assert bench.state() is DfuState.DNLOAD_SYNC
    assert bench.status() == DONE
    assert first_page(bench) == ERASED


def test_a_missed_getstatus_waits_like_any_other_while_the_rom_is_inside() -> None:
    bench = bench_of(Execution.INSIDE, "missed-service:p=1,count=1,skip=1")
    started_s = bench.clock.now() + SETUP_S
    assert [bench.status(), bench.status(), bench.status()] == [busy(REPORTED_S), busy(REPORTED_S), DONE]
    assert bench.clock.now() - started_s == exactly(ERASE_S + AFTER_SETUP_S + GETSTATUS_S)


# As faults ---------------------------------------------------------------------------------------------------------------


def execution_of(bench: Bench) -> Execution:
    assert bench.board.bootloader is not None
    return bench.board.bootloader.model.execution


@every_execution
def test_the_execution_can_be_chosen_as_a_fault_and_the_board_keeps_its_own(execution: Execution) -> None:
    bench = Bench(faults=[parse_fault(f"execution:mode={execution}")])
    assert execution_of(bench) is execution
    assert bench.board.model.execution is CHIP.rom.execution
    bench.board.power_cycle()
    assert execution_of(bench) is execution


def test_a_running_bootloader_is_afflicted_too() -> None:
    bench = bench_of(Execution.BACKGROUND)
    bench.board.afflict([parse_fault("execution:mode=held")])
    assert lasting_s(bench, bench.status) == exactly(ERASE_S + GETSTATUS_S)
    bench.board.power_cycle()
    assert execution_of(bench) is Execution.HELD
    assert bench.board.model.execution is Execution.BACKGROUND


def test_the_starts_of_the_bootloader_are_the_occasions_of_a_fault_of_its_model() -> None:
    bench = Bench(execution=Execution.BACKGROUND, faults=[parse_fault("execution:mode=inside,skip=1,count=1")])
    seen = [execution_of(bench)]
    for _ in range(2):
        bench.board.power_cycle()
        seen.append(execution_of(bench))
    assert seen == [Execution.BACKGROUND, Execution.INSIDE, Execution.BACKGROUND]


def test_of_two_faults_of_the_model_the_later_one_counts() -> None:
    bench = Bench(faults=[parse_fault("execution:mode=held"), parse_fault("execution:mode=inside")])
    assert execution_of(bench) is Execution.INSIDE


@pytest.mark.parametrize(
    ("getstate", "came", "after"),
    [(0, DfuState.DNBUSY, DfuState.DNBUSY), (1, "STALL", DfuState.ERROR)],
    ids=["tells", "latches dfuERROR"],
)
def test_an_early_getstate_tells_or_is_stalled_as_an_early_getstatus_is(
    getstate: int, came: object, after: DfuState
) -> None:
    bench = bench_of(
        Execution.BACKGROUND, f"early-poll:answer=stall-error,getstate={getstate}", early_poll=EarlyPoll.BUSY
    )
    bench.status()
    try:
        told: object = bench.state()
    except Stall:
        told = "STALL"
    assert (told, bench.registers.state) == (came, after)


@pytest.mark.parametrize(
    ("answer", "came"),
    [
        ("busy", [busy(REPORTED_S), DONE]),
        ("stall", ["STALL", DONE]),
        ("stall-error", ["STALL", error(DfuStatus.ERR_STALLEDPKT)]),
    ],
)
def test_the_answer_to_an_early_poll_can_be_chosen_as_a_fault(answer: str, came: list[object]) -> None:
    other = EarlyPoll.STALL if answer == "busy" else EarlyPoll.BUSY
    bench = bench_of(Execution.BACKGROUND, f"early-poll:answer={answer}", early_poll=other)
    bench.status()
    answers: list[object] = []
    for _ in range(2):
        try:
            answers.append(bench.status())
        except Stall:
            answers.append("STALL")
        bench.clock.sleep(ERASE_S)
    assert answers == came


@pytest.mark.parametrize("milliseconds", [0, 1, 100, 104, 0xFF_FFFF])
def test_the_reported_poll_time_can_be_chosen_and_the_operation_takes_its_own(milliseconds: int) -> None:
    """Black Magic, some L4, the F405, the GD32, and what 24 bits can say."""
    bench = bench_of(Execution.BACKGROUND, f"poll-time:ms={milliseconds}")
    assert bench.into(Request.GETSTATUS, 0, STATUS_LENGTH)[1:4] == milliseconds.to_bytes(3, "little")
    bench.clock.sleep(ERASE_S)
    assert first_page(bench) == ERASED
    assert bench.status() == DONE
    bench.dnload(0, set_address_payload(FLASH))
    assert bench.status() == busy(milliseconds / 1000)


def test_the_poll_time_of_one_operation_leaves_the_others_alone() -> None:
    """The F405: 100 ms for its mass erase."""
    bench = Bench(faults=[parse_fault("poll-time:ms=100,for=mass-erase")])
    assert bench.start(0, b"\x41") == busy(0.1)
    bench.clock.sleep(1)
    assert bench.status() == DONE
    assert bench.start(0, erase_page_payload(FLASH)) == busy(REPORTED_S)


@pytest.mark.parametrize(
    ("word", "block", "data"),
    [
        ("set-address", 0, set_address_payload(FLASH)),
        ("erase", 0, erase_page_payload(FLASH)),
        ("mass-erase", 0, b"\x41"),
        ("write", 2, bytes(64)),
        ("read-unprotect", 0, read_unprotect_payload()),
    ],
)
def test_every_operation_has_a_word_for_its_poll_time(word: str, block: int, data: bytes) -> None:
    bench = Bench(faults=[parse_fault(f"poll-time:ms=77,for={word}")])
    assert bench.start(block, data) == busy(0.077)


def test_the_option_bytes_too() -> None:
    bench = Bench(faults=[parse_fault("poll-time:ms=77,for=option-bytes")])
    assert bench.start_option_write(WANTED) == busy(0.077)


def test_of_two_poll_times_for_an_operation_the_later_one_counts() -> None:
    bench = bench_of(Execution.BACKGROUND, "poll-time:ms=5", "poll-time:ms=7,for=erase")
    assert bench.status() == busy(0.007)
    bench.clock.sleep(1)
    bench.status()
    bench.dnload(0, set_address_payload(FLASH))
    assert bench.status() == busy(0.005)


def test_a_poll_time_can_be_wrong_once() -> None:
    bench = bench_of(Execution.BACKGROUND, "poll-time:ms=0,count=1")
    assert bench.status() == busy(0)
    bench.clock.sleep(1)
    bench.status()
    assert bench.start(0, erase_page_payload(FLASH)) == busy(REPORTED_S)


def test_a_user_dfu_can_be_afflicted_as_well() -> None:
    bench = Bench(user_dfu=True, faults=[parse_fault("execution:mode=held")])
    assert execution_of(bench) is Execution.HELD
