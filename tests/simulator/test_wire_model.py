"""The full-speed wire model. # Ref: USB 2.0 tables 5-2 and 5-9."""

from __future__ import annotations

import pytest
from simulated_bench import BLOCK, Bench

from dfurun.dfuse.protocol import set_address_payload
from dfurun.simulator import wire


def test_a_control_transfer_with_one_packet_has_the_specifications_45_bytes_of_overhead() -> None:
    assert wire.transfer_bytes(64) - 64 == 45
    assert wire.transfer_bytes(1) - 1 == 45


@pytest.mark.parametrize(
    ("data_bytes", "transfers", "remaining"), [(2, 31, 43), (8, 28, 16), (32, 19, 37), (64, 13, 83)]
)
def test_as_many_fit_into_a_frame_as_table_5_2_says(data_bytes: int, transfers: int, remaining: int) -> None:
    """1500 bytes to a frame; the table lists how many transfers fit and what remains."""
    assert divmod(wire.FRAME_BYTES, wire.transfer_bytes(data_bytes)) == (transfers, remaining)


def test_every_further_packet_costs_what_a_bulk_transaction_costs() -> None:
    """Table 5-9: 13 bytes of overhead."""
    assert wire.transfer_bytes(128) - wire.transfer_bytes(64) == 64 + 13
    assert wire.transfer_bytes(0) == 32


def test_a_block_of_two_kibibytes_takes_1_66_milliseconds() -> None:
    """32 + 32 packets of 13 + 2048 bytes, 8 bits at 12 Mbit/s each."""
    assert wire.transfer_s(BLOCK) == pytest.approx((32 + 32 * 13 + 2048) * 8 / 12e6, rel=1e-12)
    assert wire.transfer_s(BLOCK) == pytest.approx(1.664e-3, abs=1e-6)


def test_every_transfer_spends_its_time_on_the_clock(bench: Bench) -> None:
    bench.state()
    assert bench.clock.now() == pytest.approx(wire.transfer_s(1), rel=1e-9)
    bench.dnload(0, set_address_payload(0x0800_0000))
    assert bench.clock.now() == pytest.approx(wire.transfer_s(1) + wire.transfer_s(5), rel=1e-9)


def test_a_stalled_upload_spends_the_time_of_a_transfer_without_data(bench: Bench) -> None:
    bench.is_refused(lambda: bench.upload(1, BLOCK))
    assert bench.clock.now() == pytest.approx(wire.transfer_s(0), rel=1e-9)


def test_an_upload_spends_the_time_of_what_it_brings_not_of_what_was_asked_for(bench: Bench) -> None:
    bench.upload(0, BLOCK)
    assert bench.clock.now() == pytest.approx(wire.transfer_s(4), rel=1e-9)
