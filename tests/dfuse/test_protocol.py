"""The protocol's constants and small codecs, held to the documents."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfurun.dfuse.protocol import (
    DfuState,
    DfuStatus,
    FunctionalDescriptor,
    Request,
    StatusReport,
    erase_page_payload,
    mass_erase_payload,
    read_unprotect_payload,
    set_address_payload,
)

FUNCTIONAL = bytes.fromhex("0921 0B FF00 0008 1A01")
ROM = FunctionalDescriptor(attributes=0x0B, detach_timeout_ms=255, transfer_size_bytes=2048, dfu_version=0x011A)


def test_requests_have_the_numbers_of_dfu_1_1_table_3_2() -> None:
    assert [request.name for request in sorted(Request)] == [
        "DETACH", "DNLOAD", "UPLOAD", "GETSTATUS", "CLRSTATUS", "GETSTATE", "ABORT",
    ]  # fmt: skip
    assert sorted(Request) == list(range(7))


def test_states_are_spelled_and_numbered_as_in_dfu_1_1_section_6_1_2() -> None:
    assert [state.spelled for state in sorted(DfuState)] == [
        "appIDLE", "appDETACH", "dfuIDLE", "dfuDNLOAD-SYNC", "dfuDNBUSY", "dfuDNLOAD-IDLE", "dfuMANIFEST-SYNC",
        "dfuMANIFEST", "dfuMANIFEST-WAIT-RESET", "dfuUPLOAD-IDLE", "dfuERROR",
    ]  # fmt: skip
    assert sorted(DfuState) == list(range(11))


def test_statuses_are_spelled_and_numbered_as_in_dfu_1_1_section_6_1_2() -> None:
    assert [status.spelled for status in sorted(DfuStatus)] == [
        "OK", "errTARGET", "errFILE", "errWRITE", "errERASE", "errCHECK_ERASED", "errPROG", "errVERIFY", "errADDRESS",
        "errNOTDONE", "errFIRMWARE", "errVENDOR", "errUSBR", "errPOR", "errUNKNOWN", "errSTALLEDPKT",
    ]  # fmt: skip
    assert sorted(DfuStatus) == list(range(16))


def test_payloads_are_those_of_an3156() -> None:
    assert set_address_payload(0x0800_1000) == bytes.fromhex("21 00100008")
    assert erase_page_payload(0x0801_F800) == bytes.fromhex("41 00F80108")
    assert mass_erase_payload() == bytes.fromhex("41")
    assert read_unprotect_payload() == bytes.fromhex("92")


@given(st.integers(0, 0xFFFF_FFFF))
def test_an_address_goes_out_little_endian(address: int) -> None:
    assert set_address_payload(address) == b"\x21" + address.to_bytes(4, "little")
    assert erase_page_payload(address) == b"\x41" + address.to_bytes(4, "little")


@pytest.mark.parametrize(
    ("raw", "report", "words"),
    [
        ("00 000000 02 00", StatusReport(DfuStatus.OK, 0.0, DfuState.IDLE), "dfuIDLE, OK"),
        ("00 280000 04 00", StatusReport(DfuStatus.OK, 0.040, DfuState.DNBUSY), "dfuDNBUSY, OK"),
        ("0B 000000 0A 00", StatusReport(DfuStatus.ERR_VENDOR, 0.0, DfuState.ERROR), "dfuERROR, errVENDOR"),
        ("0F 000000 0A 04", StatusReport(DfuStatus.ERR_STALLEDPKT, 0.0, DfuState.ERROR, 4), "dfuERROR, errSTALLEDPKT"),
        ("00 FFFFFF 04 00", StatusReport(DfuStatus.OK, 16777.215, DfuState.DNBUSY), "dfuDNBUSY, OK"),
        ("00 000100 04 00", StatusReport(DfuStatus.OK, 0.256, DfuState.DNBUSY), "dfuDNBUSY, OK"),
    ],
)
def test_six_bytes_are_a_status_report(raw: str, report: StatusReport, words: str) -> None:
    assert StatusReport.unpack(bytes.fromhex(raw)) == report
    assert report.pack() == bytes.fromhex(raw)
    assert str(report) == words


def test_a_poll_timeout_that_does_not_fit_is_packed_as_the_largest() -> None:
    assert StatusReport(DfuStatus.OK, 1e6, DfuState.DNBUSY).pack()[1:4] == b"\xff\xff\xff"


@given(st.sampled_from(DfuStatus), st.integers(0, 0xFF_FFFF), st.sampled_from(DfuState), st.integers(0, 255))
def test_a_report_that_is_packed_is_unpacked(status: DfuStatus, poll_ms: int, state: DfuState, index: int) -> None:
    report = StatusReport(status, poll_ms / 1000, state, index)
    assert StatusReport.unpack(report.pack()) == report


@given(st.binary(max_size=12))
def test_six_bytes_with_a_known_state_and_status_are_taken_and_nothing_else(raw: bytes) -> None:
    known = len(raw) == 6 and raw[0] < 16 and raw[4] < 11
    try:
        report = StatusReport.unpack(raw)
    except ValueError:
        assert not known
    else:
        assert known
        assert report.pack() == raw


@pytest.mark.parametrize("length", [0, 5, 7])
def test_a_status_of_a_wrong_length_is_named_so(length: int) -> None:
    with pytest.raises(ValueError, match=f"GETSTATUS answered {length} bytes, not 6"):
        StatusReport.unpack(bytes(length))


def test_the_functional_descriptor_has_nine_bytes() -> None:
    assert FunctionalDescriptor.find(FUNCTIONAL) == ROM
    assert ROM.pack() == FUNCTIONAL


def test_a_functional_descriptor_of_seven_bytes_is_dfu_1_0() -> None:
    seven = bytes.fromhex("0721 0B FF00 0008")
    assert FunctionalDescriptor.find(seven) == FunctionalDescriptor(0x0B, 255, 2048, 0x0100)


def test_the_functional_descriptor_is_found_among_others() -> None:
    other, short = bytes.fromhex("05 24 00 10 01"), bytes.fromhex("02 FF")
    assert FunctionalDescriptor.find(other + short + FUNCTIONAL + other) == ROM


def test_a_short_descriptor_of_the_same_type_is_passed_over() -> None:
    assert FunctionalDescriptor.find(bytes.fromhex("04 21 00 00") + FUNCTIONAL) == ROM


@pytest.mark.parametrize(
    "extra",
    ["", "09", "00", "0021", "0121", "0024 0000", "05 24 00 10 01", "0921 0B FF", "00 00 0921 0B FF00 0008 1A01"],
)
def test_where_there_is_no_functional_descriptor_that_is_said(extra: str) -> None:
    with pytest.raises(ValueError, match="no DFU functional descriptor after the last alternate setting"):
        FunctionalDescriptor.find(bytes.fromhex(extra))


@pytest.mark.parametrize("length", ["09", "07"])
def test_a_transfer_size_of_nothing_is_refused(length: str) -> None:
    with pytest.raises(ValueError, match="the DFU functional descriptor says wTransferSize 0"):
        FunctionalDescriptor.find(bytes.fromhex(length + "21 0B FF00 0000 1A01"))


_descriptors = st.builds(
    FunctionalDescriptor, st.integers(0, 255), st.integers(0, 0xFFFF), st.integers(64, 4096), st.integers(0, 0xFFFF)
)
_others = st.lists(
    st.binary(min_size=1, max_size=10)
    .filter(lambda body: body[0] != 0x21)
    .map(lambda body: struct.pack("B", len(body) + 1) + body),
    max_size=3,
).map(b"".join)


@given(_others, _descriptors, st.binary(max_size=20))
def test_a_functional_descriptor_is_found_whatever_stands_around_it(
    before: bytes, descriptor: FunctionalDescriptor, after: bytes
) -> None:
    assert FunctionalDescriptor.find(before + descriptor.pack() + after) == descriptor


@given(st.binary(max_size=60))
def test_no_bytes_whatsoever_raise_anything_but_value_error(extra: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert FunctionalDescriptor.find(extra).transfer_size_bytes > 0
