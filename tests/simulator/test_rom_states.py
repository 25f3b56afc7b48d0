"""The bootloader's state machine. # Ref: AN3156 rev 18; USB DFU 1.1 appendix A; AN2662 section 4.5."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from simulated_bench import BLOCK, CHIP, FLASH, Bench, busy, error, idle

from dfurun.chips import EarlyPoll
from dfurun.dfuse.protocol import DfuState, DfuStatus, Request, StatusReport, erase_page_payload, set_address_payload
from dfurun.simulator.commands import BlockAddressing
from dfurun.simulator.transfer import Setup, Stall

IDLE, ERROR = DfuState.IDLE, DfuState.ERROR
STATES = (
    DfuState.IDLE,
    DfuState.DNLOAD_SYNC,
    DfuState.DNBUSY,
    DfuState.DNLOAD_IDLE,
    DfuState.MANIFEST_SYNC,
    DfuState.UPLOAD_IDLE,
    DfuState.ERROR,
)
REQUESTS: dict[str, Callable[[Bench], object]] = {
    "dnload": lambda b: b.dnload(0, set_address_payload(FLASH)),
    "leave": lambda b: b.dnload(0, b""),
    "upload": lambda b: b.upload(2, 64),
    "get-commands": lambda b: b.upload(0, 64),
    "clrstatus": lambda b: b.clear(),
    "abort": lambda b: b.abort(),
    "getstate": lambda b: b.state(),
    "detach": lambda b: b.out(Request.DETACH, 1000),
}
# What each request leads to: a state, or "stall" (which also latches dfuERROR, errSTALLEDPKT).
STALL = "stall"
LEGALITY: dict[str, Mapping[DfuState, DfuState | str]] = {
    "dnload": dict.fromkeys(STATES, STALL) | dict.fromkeys((IDLE, DfuState.DNLOAD_IDLE), DfuState.DNLOAD_SYNC),
    "leave": dict.fromkeys(STATES, STALL) | dict.fromkeys((IDLE, DfuState.DNLOAD_IDLE), DfuState.MANIFEST_SYNC),
    "upload": dict.fromkeys(STATES, STALL) | dict.fromkeys((IDLE, DfuState.UPLOAD_IDLE), DfuState.UPLOAD_IDLE),
    "get-commands": dict.fromkeys(STATES, STALL) | dict.fromkeys((IDLE, DfuState.UPLOAD_IDLE), IDLE),
    "clrstatus": {s: s for s in STATES} | {ERROR: IDLE},
    "abort": dict.fromkeys(STATES, IDLE) | {ERROR: ERROR, DfuState.DNBUSY: DfuState.DNBUSY},
    "getstate": {s: s for s in STATES},
    "detach": dict.fromkeys(STATES, STALL),
}


@pytest.mark.parametrize("request_name", REQUESTS)
@pytest.mark.parametrize("state", STATES)
def test_every_request_in_every_state_does_what_the_documents_say(
    bench: Bench, state: DfuState, request_name: str
) -> None:
    """AN3156 sections 4 and 5 ("the device should be in dfuIDLE or ..."), DFU 1.1 appendix A.2."""
    bench.bring_to(state)
    expected = LEGALITY[request_name][state]
    if expected == STALL:
        with pytest.raises(Stall):
            REQUESTS[request_name](bench)
        assert bench.registers.state is ERROR
        assert bench.registers.status is DfuStatus.ERR_STALLEDPKT
    else:
        REQUESTS[request_name](bench)
        assert bench.registers.state is expected


@pytest.mark.parametrize("state", [s for s in STATES if s is not ERROR])
def test_a_strict_rom_stalls_clrstatus_outside_dfu_error(state: DfuState) -> None:
    """betaflight-configurator#5300: the STM32C5's ROM."""
    bench = Bench(tolerates_stray_requests=False)
    bench.bring_to(state)
    with pytest.raises(Stall):
        bench.clear()
    assert bench.status() == error(DfuStatus.ERR_STALLEDPKT)


@pytest.mark.parametrize("state", [DfuState.DNBUSY, ERROR])
def test_a_strict_rom_stalls_abort_where_there_is_nothing_to_abort(state: DfuState) -> None:
    """DFU 1.1 appendix A: neither dfuDNBUSY nor dfuERROR knows DFU_ABORT."""
    bench = Bench(tolerates_stray_requests=False)
    bench.bring_to(state)
    with pytest.raises(Stall):
        bench.abort()
    assert bench.status() == error(DfuStatus.ERR_STALLEDPKT)


def test_getstate_answers_one_byte_and_changes_nothing(bench: Bench) -> None:
    """DFU 1.1 section 6.1.5: no change in state."""
    bench.bring_to(DfuState.DNLOAD_SYNC)
    for _ in range(3):
        assert bench.into(Request.GETSTATE, 0, 1) == bytes([DfuState.DNLOAD_SYNC])
    assert bench.registers.stored is not None


def test_a_download_is_stored_and_only_the_next_getstatus_executes_it(bench: Bench) -> None:
    """AN3156 section 5: "effectively executed only when a DFU_GETSTATUS request is issued"."""
    bench.board.replace_flash(bytes(4096))
    bench.dnload(0, erase_page_payload(FLASH))
    bench.clock.sleep(10)
    assert bench.board.flash.contents[:2048] == bytes(2048)
    assert bench.status() == busy(CHIP.timing.shortest_erase.reported_s)
    assert bench.board.flash.contents[:2048] == bytes(2048), "the erase takes its time"
    bench.clock.sleep(CHIP.timing.shortest_erase.typical_s)
    assert bench.board.flash.contents[:4096] == b"\xff" * 2048 + bytes(2048)
    assert bench.status() == StatusReport(DfuStatus.OK, 0.0, DfuState.DNLOAD_IDLE)


def test_an_abort_discards_a_stored_download(bench: Bench) -> None:
    """AN3156: DFU_ABORT leads back to dfuIDLE; nothing is left to be executed."""
    bench.board.replace_flash(bytes(2048))
    bench.dnload(0, erase_page_payload(FLASH))
    bench.abort()
    assert bench.status() == idle()
    bench.clock.sleep(1)
    assert bench.board.flash.contents[:2048] == bytes(2048)


def test_after_the_operation_the_state_is_dnload_sync_until_getstatus_reports(bench: Bench) -> None:
    """DFU 1.1 section A.2.5: from dfuDNBUSY to dfuDNLOAD-SYNC when bwPollTimeout has elapsed."""
    bench.bring_to(DfuState.DNBUSY)
    assert bench.state() is DfuState.DNBUSY
    bench.clock.sleep(CHIP.timing.shortest_erase.typical_s)
    assert bench.state() is DfuState.DNLOAD_SYNC
    assert bench.status().state is DfuState.DNLOAD_IDLE


def test_an_early_poll_can_be_answered_busy() -> None:
    """DFU 1.1 section 6.1.2: the state is reported as it is."""
    bench = Bench(early_poll=EarlyPoll.BUSY)
    bench.bring_to(DfuState.DNBUSY)
    assert bench.status() == busy(CHIP.timing.shortest_erase.reported_s)
    bench.clock.sleep(CHIP.timing.shortest_erase.typical_s)
    assert bench.status().state is DfuState.DNLOAD_IDLE


def test_an_early_poll_can_be_stalled_without_consequence() -> None:
    """dfu-util retries a STALL of GETSTATUS up to three times, for STM32L4 parts."""
    bench = Bench(early_poll=EarlyPoll.STALL)
    bench.bring_to(DfuState.DNBUSY)
    with pytest.raises(Stall):
        bench.status()
    bench.clock.sleep(CHIP.timing.shortest_erase.typical_s)
    assert bench.status().state is DfuState.DNLOAD_IDLE


def test_an_early_poll_can_be_stalled_with_a_latched_error_while_the_operation_goes_on() -> None:
    """openmv#1508 shows the STALL on the F072; usbd-dfu latches dfuERROR, errSTALLEDPKT."""
    bench = Bench(early_poll=EarlyPoll.STALL_ERROR)
    bench.board.replace_flash(bytes(2048))
    bench.bring_to(DfuState.DNBUSY)
    with pytest.raises(Stall):
        bench.status()
    assert bench.status() == error(DfuStatus.ERR_STALLEDPKT)
    bench.clear()
    assert bench.status() == idle()
    bench.clock.sleep(CHIP.timing.shortest_erase.typical_s)
    assert bench.board.flash.contents[:2048] == b"\xff" * 2048


def test_a_read_waits_for_the_flash_operation_that_a_latched_error_left_running(bench: Bench) -> None:
    """RM0091 section 3.2.1: a read of the flash stalls the bus until the operation has completed."""
    bench.board.replace_flash(bytes(2048))
    bench.bring_to(DfuState.DNBUSY)
    with pytest.raises(Stall):
        bench.status()
    bench.clear()
    before_s = bench.clock.now()
    assert bench.upload(2, 64) == b"\xff" * 64
    assert bench.clock.now() - before_s > 0.029


def test_a_second_command_waits_for_the_operation_that_a_latched_error_left_running(bench: Bench) -> None:
    """RM0091 section 3.2.2: check that no flash operation is ongoing (BSY) before the next."""
    bench.board.replace_flash(bytes(4096))
    bench.bring_to(DfuState.DNBUSY)
    with pytest.raises(Stall):
        bench.status()
    bench.clear()
    bench.erase_page(FLASH + 2048)
    assert bench.board.flash.contents[:4096] == b"\xff" * 4096
    assert bench.board.flash.erase_counts[:2] == [1, 1]


def test_more_than_the_transfer_size_is_refused_in_both_directions(bench: Bench) -> None:
    """siliconwitchery/web-stm32-updater#3: a ROM asked for more than wTransferSize answers errSTALLEDPKT."""
    for action in (lambda: bench.dnload(2, bytes(BLOCK + 4)), lambda: bench.upload(2, BLOCK + 1)):
        with pytest.raises(Stall):
            action()
        assert bench.status() == error(DfuStatus.ERR_STALLEDPKT)
        bench.clear()


def test_block_number_one_is_reserved(bench: Bench) -> None:
    """AN3156 sections 4 and 5: wBlockNum 1 is reserved."""
    for action in (lambda: bench.dnload(1, b"1234"), lambda: bench.upload(1, 64)):
        with pytest.raises(Stall):
            action()
        assert bench.status() == error(DfuStatus.ERR_STALLEDPKT)
        bench.clear()


@pytest.mark.parametrize(
    "setup",
    [
        Setup(0x21, 0x07, 0, 0, 0),
        Setup(0xA1, Request.DNLOAD, 0, 0, 4),
        Setup(0x21, Request.GETSTATUS, 0, 0, 0),
        Setup(0xA1, Request.ABORT, 0, 0, 1),
    ],
    ids=str,
)
def test_a_class_request_that_does_not_exist_stalls_and_latches_an_error(bench: Bench, setup: Setup) -> None:
    """DFU 1.1 appendix A.2.3: any other class request leads to dfuERROR."""
    with pytest.raises(Stall):
        bench.board.control(setup, bytes(setup.length) if not setup.is_in else b"")
    assert bench.status() == error(DfuStatus.ERR_STALLEDPKT)


def test_a_request_to_another_interface_stalls_and_changes_nothing(bench: Bench) -> None:
    """USB 2.0 section 9.4: a request error. There is one interface."""
    with pytest.raises(Stall):
        bench.board.control(Setup(0x21, Request.DNLOAD, 0, 1, 1), b"\x41")
    assert bench.status() == idle()


def test_blocks_count_in_the_descriptors_transfer_size_however_long_the_request_is(bench: Bench) -> None:
    """betaflight and fwupd stream with a short last block and it works, so the step is the descriptor's (inference)."""
    bench.set_address(FLASH)
    bench.must(4, b"\x11" * 4)
    assert bench.board.flash.contents.index(0x11) == 2 * BLOCK


def test_the_literal_reading_counts_blocks_in_the_length_of_the_request() -> None:
    """AN3156 section 4.1: "wTransferSize is the length of the requested data buffer"; usbd-dfu does so."""
    bench = Bench(addressing=BlockAddressing.REQUEST)
    bench.set_address(FLASH)
    bench.must(4, b"\x11" * 4)
    assert bench.board.flash.contents.index(0x11) == 8
    bench.abort()
    assert bench.upload(3, 8) == b"\x11" * 4 + b"\xff" * 4


def test_a_bus_reset_forgets_the_stored_download_and_starts_over_in_idle(bench: Bench) -> None:
    """DFU 1.1 appendix A: a USB reset leaves every state; that the pointer goes with it is an inference."""
    bench.board.replace_flash(bytes(4096))
    bench.set_address(FLASH + 2048)
    bench.dnload(0, erase_page_payload(FLASH))
    bench.board.usb_reset()
    assert bench.status() == idle()
    assert bench.registers.pointer == FLASH
    bench.clock.sleep(1)
    assert bench.board.flash.contents[:4096] == bytes(4096)


def test_a_bus_reset_does_not_stop_an_erase(bench: Bench) -> None:
    """RM0091 section 3.2.2: nothing but a reset or a power cut ends a flash operation that has begun."""
    bench.board.replace_flash(bytes(2048))
    bench.bring_to(DfuState.DNBUSY)
    bench.board.usb_reset()
    bench.clock.sleep(CHIP.timing.shortest_erase.typical_s)
    assert bench.board.flash.contents[:2048] == b"\xff" * 2048
