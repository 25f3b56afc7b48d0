"""Transfers told as operations, and one by one."""

from __future__ import annotations

import pytest

from dfurun.dfuse.link import LinkError, Stalled, TimedOut
from dfurun.dfuse.narration import Narrator, in_words
from dfurun.dfuse.protocol import (
    DfuState,
    DfuStatus,
    Request,
    StatusReport,
    erase_page_payload,
    mass_erase_payload,
    read_unprotect_payload,
    set_address_payload,
)
from dfurun.dfuse.trace import Transfer


class Talk:
    """A narrator that hears transfers, each a millisecond long, and what it has told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.narrator = Narrator(self.told.append)
        self.now = 0.0

    def carry(
        self, request: Request, value: int = 0, data: bytes = b"", length: int | None = None,
        failure: LinkError | None = None,
    ) -> None:  # fmt: skip
        length = len(data) if length is None else length
        self.narrator.transfer(Transfer(request, value, length, data, self.now, 0.001, failure))
        self.now += 0.001

    def status(self, state: DfuState, poll_s: float = 0.0, status: DfuStatus = DfuStatus.OK) -> None:
        self.carry(Request.GETSTATUS, data=StatusReport(status, poll_s, state).pack())

    def end(self) -> list[str]:
        self.narrator.flush()
        return self.told


@pytest.fixture
def talk() -> Talk:
    return Talk()


@pytest.mark.parametrize(
    ("payload", "name"),
    [
        (set_address_payload(0x0800_0800), "Set Address 0x08000800"),
        (erase_page_payload(0x0800_1000), "erase 0x08001000"),
        (mass_erase_payload(), "mass erase"),
        (read_unprotect_payload(), "Read Unprotect"),
        (b"\x77", "command 0x77"),
    ],
)
def test_a_command_is_told_with_all_that_was_answered(talk: Talk, payload: bytes, name: str) -> None:
    talk.carry(Request.DNLOAD, data=payload)
    talk.status(DfuState.DNBUSY, 0.040)
    assert talk.told == [], "it has not ended"
    talk.status(DfuState.DNLOAD_IDLE)
    assert talk.told == [f"{name}: dfuDNBUSY (40 ms), dfuDNLOAD-IDLE, 3 ms"]


def test_a_refused_command_is_told_with_the_roms_reason(talk: Talk) -> None:
    talk.carry(Request.DNLOAD, data=set_address_payload(0x0800_0000))
    talk.status(DfuState.ERROR, status=DfuStatus.ERR_VENDOR)
    assert talk.told == ["Set Address 0x08000000: dfuERROR, errVENDOR, 2 ms"]


def test_blocks_that_follow_one_another_are_one_line_with_their_address(talk: Talk) -> None:
    talk.carry(Request.DNLOAD, data=set_address_payload(0x0800_0800))
    talk.status(DfuState.DNLOAD_IDLE)
    for block in (2, 3, 4):
        talk.carry(Request.DNLOAD, block, bytes(2048))
        talk.status(DfuState.DNBUSY, 0.062)
        talk.status(DfuState.DNLOAD_IDLE)
    assert talk.end()[1:] == ["write 6 KiB at 0x08000800: 3 blocks, 6 polls, 9 ms"]


def test_a_block_that_fails_stands_for_itself(talk: Talk) -> None:
    talk.carry(Request.UPLOAD, 2, bytes(64))
    talk.carry(Request.UPLOAD, 3, length=64, failure=Stalled("Pipe error"))
    talk.carry(Request.UPLOAD, 2, bytes(10), length=64)
    assert talk.end() == [
        "read 64 bytes: 2 blocks, UPLOAD STALL, 2 ms",
        "read 10 bytes: 1 block, 10 of 64 bytes, 1 ms",
    ]


def test_polls_that_are_not_answered_are_counted(talk: Talk) -> None:
    talk.carry(Request.DNLOAD, data=mass_erase_payload())
    talk.status(DfuState.DNBUSY, 0.040)
    talk.carry(Request.GETSTATUS, length=6, failure=Stalled("Pipe error"))
    talk.carry(Request.GETSTATUS, length=6, failure=Stalled("Pipe error"))
    talk.status(DfuState.DNLOAD_IDLE)
    assert talk.told == ["mass erase: dfuDNBUSY (40 ms), dfuDNLOAD-IDLE, 4 polls, 2 x GETSTATUS STALL, 5 ms"]


def test_many_answers_are_shortened(talk: Talk) -> None:
    talk.carry(Request.DNLOAD, data=mass_erase_payload())
    for _ in range(50):
        talk.status(DfuState.DNBUSY, 0.001)
    talk.status(DfuState.DNLOAD_IDLE)
    (line,) = talk.told
    assert line.count("dfuDNBUSY") == 5
    assert "..., " in line
    assert "51 polls" in line


def test_the_state_that_was_found_and_the_way_out_of_it_are_told(talk: Talk) -> None:
    talk.carry(Request.GETSTATE, data=bytes([DfuState.ERROR]))
    talk.status(DfuState.ERROR, status=DfuStatus.ERR_FIRMWARE)
    talk.carry(Request.CLRSTATUS)
    talk.carry(Request.GETSTATE, length=1, failure=TimedOut("Operation timed out"))
    talk.carry(Request.ABORT)
    assert talk.told == [
        "state dfuERROR",
        "status dfuERROR, errFIRMWARE",
        "CLRSTATUS: taken",
        "GETSTATE: timeout",
        "ABORT: taken",
    ]


def test_an_abort_that_only_changes_direction_is_not_told(talk: Talk) -> None:
    talk.carry(Request.DNLOAD, data=set_address_payload(0x0800_0000))
    talk.status(DfuState.DNLOAD_IDLE)
    talk.carry(Request.ABORT)
    talk.carry(Request.UPLOAD, 2, bytes(64))
    assert talk.end()[1:] == ["read 64 bytes at 0x08000000: 1 block, 1 ms"]


@pytest.mark.parametrize("answer", [b"", b"\xff" * 6, b"\x00", b"\x00\x00\x00\x00\x63\x00"])
def test_nonsense_is_told_as_it_came(talk: Talk, answer: bytes) -> None:
    talk.carry(Request.GETSTATUS, data=answer)
    talk.carry(Request.GETSTATE, data=answer[:1])
    talk.carry(Request.DNLOAD, data=b"")
    assert talk.end()[0] == f"status nonsense ({answer.hex(' ').upper()})"


@pytest.mark.parametrize(
    ("transfer", "words"),
    [
        (
            Transfer(Request.GETSTATUS, 0, 6, bytes.fromhex("002800000400"), 0, 0.0012),
            "GETSTATUS wValue=0 wLength=6: 00 28 00 00 04 00  dfuDNBUSY (40 ms)  [1.2 ms]",
        ),
        (
            Transfer(Request.DNLOAD, 2, 2048, bytes(2048), 0, 0.002),
            "DNLOAD    wValue=2 wLength=2048: " + "00 " * 16 + "...  [2.0 ms]",
        ),
        (
            Transfer(Request.UPLOAD, 0, 2048, bytes.fromhex("00214192"), 0, 0.0),
            "UPLOAD    wValue=0 wLength=2048: 00 21 41 92  4 bytes  [0.0 ms]",
        ),
        (Transfer(Request.ABORT, 0, 0, b"", 0, 0.0001), "ABORT     wValue=0 wLength=0: ok  [0.1 ms]"),
        (
            Transfer(Request.GETSTATE, 0, 1, b"", 0, 5.0, TimedOut("Operation timed out")),
            "GETSTATE  wValue=0 wLength=1: timeout (Operation timed out)  [5000.0 ms]",
        ),
        (Transfer(Request.GETSTATE, 0, 1, b"\x02", 0, 0.0), "GETSTATE  wValue=0 wLength=1: 02  dfuIDLE  [0.0 ms]"),
    ],
)  # fmt: skip
def test_a_transfer_is_one_line(transfer: Transfer, words: str) -> None:
    assert in_words(transfer) == words
