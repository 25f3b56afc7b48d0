"""Clones as data: each is recognised by what it tells, and no STM32 is taken for one."""

from __future__ import annotations

import pytest

from dfurun.chips.clones import Clone, clone_like, known_clones
from dfurun.chips.index import entries
from dfurun.dfuse.layout import parse_layout

every_clone = pytest.mark.parametrize("clone", known_clones(), ids=lambda clone: clone.name)


@every_clone
def test_a_clone_is_recognised_by_its_ids_and_any_of_its_alternate_settings(clone: Clone) -> None:
    for alternate in clone.alternates:
        assert clone_like((clone.vendor_id, clone.product_id), "", [alternate, "@Other /0x08000000/1*1Kg"]) == clone


@every_clone
def test_ids_alone_tell_the_vendor(clone: Clone) -> None:
    found = clone_like((clone.vendor_id, clone.product_id))
    assert found is not None
    assert (found.vendor, found.known, found.alternates) == (clone.vendor, "", ())


def test_a_product_string_is_enough_under_ids_of_an_stm32() -> None:
    found = clone_like((0x0483, 0xDF11), "GD32 0x418 DFU Bootloader", ["@Internal Flash  /0x08000000/128*002Kg"])
    assert str(found) == "a GD32 (GigaDevice)"


def test_blanks_do_not_matter_in_a_layout() -> None:
    found = clone_like((0x2E3C, 0xDF11), "", ["@Internal Flash /0x08000000/128*1Kg"])
    assert str(found) == "AT32F415 (Artery)"


def test_no_chip_of_the_data_is_taken_for_a_clone() -> None:
    for entry in entries():
        assert clone_like((entry.vendor_id, entry.product_id), entry.product, entry.alternates) is None


def test_two_clones_of_a_vendor_share_no_layout_and_all_layouts_can_be_read() -> None:
    told = [(clone.vendor, "".join(name.split())) for clone in known_clones() for name in clone.alternates]
    assert len(told) == len(set(told))
    for clone in known_clones():
        for name in clone.alternates:
            assert parse_layout(name).segments
