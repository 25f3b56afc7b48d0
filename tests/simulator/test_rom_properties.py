"""Whatever a host sends, the board answers, stalls, or is gone; and what is in flash got there by the rules."""

from __future__ import annotations

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_bench import CHIP, FLASH, Bench, options

from dfurun.chips import EarlyPoll, Execution
from dfurun.dfuse.protocol import Request, erase_page_payload, set_address_payload
from dfurun.simulator.transfer import Gone, NoAnswer, Setup, Stall

_addresses = st.sampled_from([0, FLASH, FLASH + 2, FLASH + 0x1FFFC, 0x2000_1800, 0x1FFF_F800, 0x1FFF_F000, 0xFFFF_FFFF])
_payloads = st.one_of(
    st.binary(max_size=80),
    _addresses.map(set_address_payload),
    _addresses.map(erase_page_payload),
    st.sampled_from([b"\x41", b"\x92", options(), options(b0=0xBB), options(b0=0xCC), bytes(2048), bytes(2050)]),
)
_plausible = st.one_of(
    st.builds(lambda block, data: (Setup(0x21, 1, block, 0, len(data)), data), st.integers(0, 5), _payloads),
    st.builds(
        lambda block, length: (Setup(0xA1, 2, block, 0, length), b""),
        st.integers(0, 70),
        st.sampled_from([0, 4, 16, 2048]),
    ),
    st.sampled_from(
        [
            (Setup(0xA1, Request.GETSTATUS, 0, 0, 6), b""),
            (Setup(0x21, Request.CLRSTATUS, 0, 0, 0), b""),
            (Setup(0xA1, Request.GETSTATE, 0, 0, 1), b""),
            (Setup(0x21, Request.ABORT, 0, 0, 0), b""),
        ]
    ),
)
_word = st.integers(0, 0xFFFF)
_byte = st.integers(0, 0xFF)
_any_in = st.builds(
    lambda t, r, v, i, n: (Setup(t | 0x80, r, v, i, n), b""), _byte, _byte, _word, _word, st.integers(0, 4096)
)
_any_out = st.builds(
    lambda t, r, v, i, data: (Setup(t & 0x7F, r, v, i, len(data)), data),
    _byte,
    _byte,
    _word,
    _word,
    st.binary(max_size=64),
)
_waits = st.sampled_from([0.0, 0.0, 0.001, 0.05, 0.5])


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.one_of(_plausible, _plausible, _any_in, _any_out), _waits), max_size=40),
    st.sampled_from(Execution),
    st.sampled_from(EarlyPoll),
    st.booleans(),
    st.sampled_from(["power-on", "reset"]),
    st.sampled_from([None, 0.0, 0.001, 0.04]),
)
def test_no_sequence_of_requests_ends_in_anything_but_an_answer_a_stall_an_absence_or_a_timeout(
    steps: list[tuple[tuple[Setup, bytes], float]],
    execution: Execution,
    early_poll: EarlyPoll,
    tolerant: bool,
    reload: str,
    timeout_s: float | None,
) -> None:
    bench = Bench(execution=execution, early_poll=early_poll, tolerates_stray_requests=tolerant, option_reload=reload)
    expected = (Stall, Gone) if timeout_s is None else (Stall, Gone, NoAnswer)
    for (setup, data), wait_s in steps:
        with contextlib.suppress(*expected):
            answer = bench.board.control(setup, data, timeout_s=timeout_s)
            assert len(answer) <= setup.length
            assert setup.is_in or not answer
        bench.clock.sleep(wait_s)
    assert len(bench.board.flash.contents) == CHIP.flash.extent.size_bytes


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(_plausible, _waits), max_size=30))
def test_without_an_erase_no_bit_of_flash_is_ever_set(steps: list[tuple[tuple[Setup, bytes], float]]) -> None:
    bench = Bench(flash=b"\x5a" * 1024, early_poll=EarlyPoll.BUSY)
    before, wear = bench.board.flash.contents, list(bench.board.flash.erase_counts)
    for (setup, data), wait_s in steps:
        with contextlib.suppress(Stall, Gone):
            bench.board.control(setup, data)
        bench.clock.sleep(wait_s)
        after = bench.board.flash.contents
        for index, count in enumerate(bench.board.flash.erase_counts):
            page = slice(index * 2048, index * 2048 + 2048)
            if count == wear[index]:
                old, new = (int.from_bytes(c[page], "little") for c in (before, after))
                assert new & ~old == 0
        before, wear = after, list(bench.board.flash.erase_counts)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(_plausible, _waits), max_size=30))
def test_a_protected_chip_never_shows_or_changes_its_flash_except_by_erasing_all_of_it(
    steps: list[tuple[tuple[Setup, bytes], float]],
) -> None:
    secret = b"secret firmware!" * 16
    bench = Bench(flash=secret, option_bytes=options(b0=0xBB))
    for (setup, data), wait_s in steps:
        with contextlib.suppress(Stall, Gone):
            assert b"secret" not in bench.board.control(setup, data)
        bench.clock.sleep(wait_s)
        assert bench.board.flash.contents in (
            secret.ljust(CHIP.flash.extent.size_bytes, b"\xff"),
            b"\xff" * CHIP.flash.extent.size_bytes,
        )
