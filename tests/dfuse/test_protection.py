"""Read protection is a verdict from evidence: what proves it, what disproves it, and what never does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_link import CHIP, DNLOAD, FLASH, GETSTATUS, UPLOAD, Answer, Bench, Sent, error

from dfurun.dfuse.link import Garbled, Stalled, TimedOut
from dfurun.dfuse.protection import ATTEMPTS, Protection, Verdict, judge
from dfurun.dfuse.protection import Answer as Probed
from dfurun.dfuse.protocol import DfuState, DfuStatus, StatusReport, read_unprotect_payload
from dfurun.errors import Code, LinkUnreliable, Refused

SYSTEM = CHIP.protection_probes[1]
VENDOR = error(DfuStatus.ERR_VENDOR)

# What one attempt can come to, whatever the address.
FULL, SHORT = "full read", "short read"
STALLED, TIMED_OUT = "STALL", "timeout"
ERR_VENDOR, ERR_TARGET, ERR_STALLEDPKT = "errVENDOR", "errTARGET", "errSTALLEDPKT"
VENDOR_OUTSIDE_ERROR = "errVENDOR in dfuIDLE"
KINDS = (FULL, SHORT, STALLED, TIMED_OUT, ERR_VENDOR, ERR_TARGET, ERR_STALLEDPKT, VENDOR_OUTSIDE_ERROR)


def probed(kind: str, address: int) -> Probed:
    """Return the outcome of one attempt at an address."""
    match kind:
        case "full read":
            return Probed(address, "UPLOAD", None, True)
        case "short read":
            return Probed(address, "UPLOAD", None, False)
        case "STALL" | "timeout":
            return Probed(address, f"UPLOAD: {kind}", None, None)
        case "errVENDOR":
            return Probed(address, "UPLOAD: STALL", VENDOR, None)
        case "errTARGET":
            return Probed(address, "Set Address", error(DfuStatus.ERR_TARGET), None)
        case "errVENDOR in dfuIDLE":
            return Probed(address, "UPLOAD: STALL", replace(VENDOR, state=DfuState.IDLE), None)
        case _:
            return Probed(address, "UPLOAD: STALL", error(DfuStatus.ERR_STALLEDPKT), None)


def answered() -> tuple[int, ...]:
    return CHIP.rom.commands


def not_answered() -> tuple[int, ...]:
    raise LinkUnreliable(Code.LINK_UNRELIABLE, "Get Commands is not answered")


@dataclass
class Attempts:
    """Attempts that come out as listed; the last one goes on for ever."""

    kinds: Sequence[str]

    def __post_init__(self) -> None:
        self.made: list[tuple[int, str]] = []

    def __call__(self, address: int) -> Probed:
        kind = self.kinds[min(len(self.made), len(self.kinds) - 1)]
        self.made.append((address, kind))
        return probed(kind, address)


def verdict(kinds: Sequence[str], commands: Callable[[], tuple[int, ...]] = answered) -> Verdict:
    return judge(CHIP, Attempts(kinds), commands).verdict


def test_the_two_addresses_that_are_probed_are_main_flash_and_system_memory() -> None:
    assert CHIP.protection_probes == (FLASH, 0x1FFF_F000)


def test_one_full_read_of_main_flash_disproves_protection() -> None:
    attempts = Attempts([FULL])
    found = judge(CHIP, attempts, not_answered)
    assert found.verdict is Verdict.UNPROTECTED
    assert attempts.made == [(FLASH, FULL)]
    assert found.evidence == ("0x08000000: UPLOAD, read",)


def test_it_disproves_it_even_after_errors_that_looked_like_protection() -> None:
    assert verdict([ERR_VENDOR, ERR_VENDOR, FULL]) is Verdict.UNPROTECTED


def test_three_errvendor_in_a_row_on_two_addresses_prove_it_while_get_commands_works() -> None:
    attempts = Attempts([ERR_VENDOR])
    found = judge(CHIP, attempts, answered)
    assert found.verdict is Verdict.PROTECTED
    assert [address for address, _ in attempts.made] == [FLASH, SYSTEM, FLASH]
    assert found.evidence == (
        "0x08000000: UPLOAD: STALL, dfuERROR, errVENDOR",
        "0x1FFFF000: UPLOAD: STALL, dfuERROR, errVENDOR",
        "0x08000000: UPLOAD: STALL, dfuERROR, errVENDOR",
        "Get Commands: answered",
    )


def test_they_prove_nothing_while_get_commands_does_not_work() -> None:
    for commands in (not_answered, tuple):
        found = judge(CHIP, Attempts([ERR_VENDOR]), commands)
        assert found.verdict is Verdict.UNDETERMINED
        assert found.evidence[-1] == "Get Commands: not answered"


def test_three_of_them_on_one_address_prove_nothing() -> None:
    chip = replace(CHIP, protection_probes=(FLASH,))
    assert judge(chip, Attempts([ERR_VENDOR]), answered).verdict is Verdict.UNDETERMINED


@pytest.mark.parametrize("other", [kind for kind in KINDS if kind not in (ERR_VENDOR, FULL)])
def test_the_count_begins_again_after_anything_else(other: str) -> None:
    assert verdict([ERR_VENDOR, ERR_VENDOR, other]) is Verdict.UNDETERMINED
    assert verdict([ERR_VENDOR, ERR_VENDOR, other, ERR_VENDOR, ERR_VENDOR, other]) is Verdict.UNDETERMINED
    assert verdict([ERR_VENDOR, ERR_VENDOR, other, ERR_VENDOR]) is Verdict.PROTECTED


def test_a_full_read_of_system_memory_alone_proves_nothing_either_way() -> None:
    def probe(address: int) -> Probed:
        return probed(FULL if address == SYSTEM else ERR_VENDOR, address)

    assert judge(CHIP, probe, answered).verdict is Verdict.UNDETERMINED


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in (ERR_VENDOR, FULL)])
def test_the_same_failure_for_ever_is_an_unreliable_link(kind: str) -> None:
    attempts = Attempts([kind])
    assert judge(CHIP, attempts, answered).verdict is Verdict.UNDETERMINED
    assert len(attempts.made) == ATTEMPTS


@given(st.lists(st.sampled_from(KINDS), min_size=1, max_size=ATTEMPTS), st.booleans())
def test_a_verdict_is_never_more_than_its_evidence(kinds: list[str], works: bool) -> None:
    attempts = Attempts(kinds)
    found = judge(CHIP, attempts, answered if works else not_answered)
    last_three = attempts.made[-3:]
    match found.verdict:
        case Verdict.UNPROTECTED:
            assert attempts.made[-1] == (FLASH, FULL)
        case Verdict.PROTECTED:
            assert works
            assert [kind for _, kind in last_three] == [ERR_VENDOR] * 3
            assert {address for address, _ in last_three} == {FLASH, SYSTEM}
        case Verdict.UNDETERMINED:
            assert (FLASH, FULL) not in attempts.made
            assert not works or len(attempts.made) == ATTEMPTS
    assert len(found.answers) == len(attempts.made)


# The same on a device: every attempt is a transfer -----------------------------------------------------------------------


def is_probe(sent: Sent) -> bool:
    return sent.request is UPLOAD and sent.value >= 2


def test_a_device_that_reads_is_unprotected_after_one_upload() -> None:
    bench = Bench().contact()
    assert bench.session.protection().verdict is Verdict.UNPROTECTED
    assert [sent.request for sent in bench.link.sent if sent.request in (DNLOAD, UPLOAD)] == [DNLOAD, UPLOAD]
    (upload,) = bench.link.requests(UPLOAD)
    assert (upload.value, upload.length) == (2, 64)


def refusing_uploads(bench: Bench, status: DfuStatus = DfuStatus.ERR_VENDOR) -> None:
    """Stall every read of memory with this status, as a protected ROM does with errVENDOR."""

    def rule(sent: Sent) -> Answer:
        if not is_probe(sent):
            return None
        bench.link.state, bench.link.status = DfuState.ERROR, status
        return Stalled("Pipe error")

    bench.link.rule = rule


def refusing_addresses(bench: Bench) -> None:
    """Answer every Set Address with errVENDOR, as betaflight saw it: "contrary to the docs"."""
    bench.link.rule = lambda sent: (
        VENDOR if sent.request is GETSTATUS and bench.link.state is DfuState.DNLOAD_SYNC else None
    )


@pytest.mark.parametrize("refuse", [refusing_uploads, refusing_addresses])
def test_a_protected_rom_is_proven_so_whether_it_refuses_uploads_or_addresses(refuse: Callable[[Bench], None]) -> None:
    bench = Bench().contact()
    refuse(bench)
    found = bench.session.protection()
    assert found.verdict is Verdict.PROTECTED
    assert found.commands_work
    assert bench.link.state in (DfuState.IDLE, DfuState.UPLOAD_IDLE)


def test_a_protected_rom_whose_get_commands_is_silent_is_not_proven_so() -> None:
    bench = Bench().contact()
    refusing_uploads(bench)
    bench.link.commands = b""
    assert bench.session.protection().verdict is Verdict.UNDETERMINED


@pytest.mark.parametrize("status", [DfuStatus.ERR_TARGET, DfuStatus.ERR_STALLEDPKT, DfuStatus.ERR_UNKNOWN])
def test_another_refusal_of_every_upload_is_an_unreliable_link(status: DfuStatus) -> None:
    bench = Bench().contact()
    refusing_uploads(bench, status)
    assert bench.session.protection().verdict is Verdict.UNDETERMINED


def test_a_failed_read_of_a_protected_chip_is_refused_and_names_the_way_out() -> None:
    bench = Bench().contact()
    refusing_uploads(bench)
    with pytest.raises(Refused, match=r"cannot read 0x08000000: the chip is read-protected \(RDP level 1\)") as caught:
        bench.session.read(CHIP.flash.page(0))
    assert caught.value.code is Code.PROTECTED
    assert "unprotect" in caught.value.hint
    assert "Get Commands: answered" in caught.value.evidence


_reads = st.sampled_from([FULL, SHORT, STALLED, TIMED_OUT, "garbled", ERR_VENDOR, ERR_TARGET])


@given(st.lists(_reads, max_size=14), _reads, st.lists(st.sampled_from([None, STALLED, TIMED_OUT]), max_size=30))
def test_on_a_device_too_a_verdict_is_never_more_than_its_evidence(
    reads: list[str], then: str, on_the_way: list[str | None]
) -> None:
    bench = Bench().contact()
    outcomes: list[tuple[int, str]] = []
    noise = iter(on_the_way)

    def rule(sent: Sent) -> Answer:
        if not is_probe(sent):
            return {STALLED: Stalled("Pipe error"), TIMED_OUT: TimedOut("timed out")}.get(next(noise, None) or "")
        kind = reads[len(outcomes)] if len(outcomes) < len(reads) else then
        if bench.link.state in (DfuState.IDLE, DfuState.UPLOAD_IDLE):
            outcomes.append((bench.link.pointer, kind))
        match kind:
            case "full read":
                return None
            case "short read":
                bench.link.state = DfuState.IDLE
                return bytes(63)
            case "timeout":
                return TimedOut("timed out")
            case "garbled":
                return Garbled("Overflow")
            case "STALL":
                return Stalled("Pipe error")
        bench.link.state = DfuState.ERROR
        bench.link.status = DfuStatus.ERR_VENDOR if kind == ERR_VENDOR else DfuStatus.ERR_TARGET
        return Stalled("Pipe error")

    bench.link.rule = rule
    try:
        found: Protection | None = bench.session.protection()
    except LinkUnreliable:
        found = None
    if found and found.verdict is Verdict.UNPROTECTED:
        assert outcomes[-1] == (FLASH, FULL)
    if found and found.verdict is Verdict.PROTECTED:
        assert [kind for _, kind in outcomes[-3:]] == [ERR_VENDOR] * 3
        assert {address for address, _ in outcomes[-3:]} == {FLASH, SYSTEM}
    assert read_unprotect_payload() not in [data for _, data in bench.link.downloads]


def test_a_report_of_errvendor_counts_in_dfuerror_only() -> None:
    answer = Probed(FLASH, "UPLOAD: STALL", StatusReport(DfuStatus.ERR_VENDOR, 0.0, DfuState.IDLE), None)
    assert not answer.says_protected
