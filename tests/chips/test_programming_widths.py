"""How wide a ROM may be told to program: rising with the supply, the ROM's own first, times for every page there is.

# Ref: AN2606 rev 70 table 4; DS8626, the flash memory's characteristics by parallelism.
"""

from __future__ import annotations

import pytest

from dfurun.chips import Chip, load_chip
from dfurun.chips.index import entries

CHIPS = [load_chip(entry.names[0]) for entry in entries()]
WITH_WIDTHS = [chip for chip in CHIPS if chip.widths]
F405 = load_chip("stm32f405xg")


def test_the_families_of_an2606_have_widths_and_no_others() -> None:
    assert {chip.name[:7] for chip in WITH_WIDTHS} == {"stm32f2", "stm32f4", "stm32f7"}
    assert not [chip.name for chip in CHIPS if chip.name[:7] in ("stm32f2", "stm32f4", "stm32f7") and not chip.widths]


@pytest.mark.parametrize("chip", WITH_WIDTHS, ids=lambda chip: chip.name)
def test_widths_rise_from_the_roms_own(chip: Chip) -> None:
    assert chip.widths is not None
    assert chip.device_feature is not None
    own, *others = chip.widths.widths
    assert (own.unit_bytes, own.timing, own.minimum_v) == (
        chip.flash.program_unit_bytes,
        chip.timing,
        chip.supply.minimum_v,
    )
    for under, over in zip(chip.widths.widths, others, strict=False):
        assert under.code < over.code
        assert under.minimum_v < over.minimum_v <= chip.supply.maximum_v
        assert under.unit_bytes <= over.unit_bytes <= chip.flash.write_alignment_bytes, "a block is whole units"
        slow, fast = under.timing, over.timing
        assert fast.program_block.typical_s <= slow.program_block.typical_s
        assert fast.mass_erase.maximum_s <= slow.mass_erase.maximum_s
        assert fast.page_erase.keys() == chip.timing.page_erase.keys()
        assert all(fast.page_erase[size].maximum_s <= slow.page_erase[size].maximum_s for size in fast.page_erase)


@pytest.mark.parametrize(
    ("supply_v", "code", "unit_bytes"),
    [
        (1.7, 0, 1),
        (1.8, 0, 1),
        (2.099, 0, 1),
        (2.1, 1, 2),
        (2.4, 2, 2),
        (2.699, 2, 2),
        (2.7, 3, 4),
        (3.3, 3, 4),
        (3.6, 3, 4),
    ],
)
def test_the_widest_is_chosen_that_the_supply_allows(supply_v: float, code: int, unit_bytes: int) -> None:
    """AN2606 table 4; x64, which needs VPP, is never among them."""
    width = F405.width_at(supply_v)
    assert width is not None
    assert (width.code, width.unit_bytes) == (code, unit_bytes)


def test_at_no_known_supply_it_is_the_roms_own_and_a_chip_that_has_one_width_chooses_none() -> None:
    assert F405.widths is not None
    assert F405.width_at(None) is F405.widths.own
    assert load_chip("stm32f072xb").width_at(3.3) is None
    assert load_chip("stm32l476xg").width_at(3.3) is None, "its device feature has no such meaning"


def test_the_times_of_an_f405_are_those_of_its_datasheet() -> None:
    word = F405.width_at(3.3)
    assert word is not None
    timing = word.timing
    assert [timing.page_erase[kib * 1024].typical_s for kib in (16, 64, 128)] == [0.25, 0.55, 1.0]
    assert (timing.mass_erase.typical_s, timing.mass_erase.maximum_s) == (8.0, 16.0)
    assert timing.program_block.typical_s == pytest.approx(512 * 16e-6)
    assert timing.program_block.reported_s == F405.timing.program_block.reported_s, "what the ROM says is as before"
