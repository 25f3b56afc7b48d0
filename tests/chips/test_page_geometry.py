"""Which option bytes move the pages of which flash, against what openocd and ST's own code say, and that each is guarded."""

from __future__ import annotations

import pytest

from dfurun.chips import Chip, load_chip
from dfurun.chips.database import read_facts
from dfurun.chips.index import entries

NAMES = [entry.names[0] for entry in entries()]
MOVED = [name for name in NAMES if load_chip(name).page_fields]
OF_BANKS = {
    "DBANK",
    "nDBANK",
    "DB1M",
    "DB256K",
    "DUAL_BANK",
    "DUALBANK",
    "SWAP_BANK",
    "nSWAP_BANK",
    "SWAP_BANK_OPT",
}


def assumed(chip: Chip) -> dict[str, object]:
    return {field.name: field.value for field in chip.page_fields}


# openocd, stm32l4x.c, by device id and flash size, and RM0090 and RM0410; that L4R/L4S ask DBANK whatever the size: ST's HAL.
@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("stm32f427xg", {"DB1M": 0}),
        ("stm32f429xe", {}),
        ("stm32f427xi", {}),
        ("stm32f469xg", {"DB1M": 0}),
        ("stm32f405xg", {}),
        ("stm32f722xe", {}),
        ("stm32f767xg", {"nDBANK": 1}),
        ("stm32f767xi", {"nDBANK": 1}),
        ("stm32g0b1xb", {"nSWAP_BANK": 1, "DUAL_BANK": 1}),
        ("stm32g431xb", {}),
        ("stm32g474xe", {"DBANK": 1}),
        ("stm32g491xe", {}),
        ("stm32h743xi", {"SWAP_BANK_OPT": 0}),
        ("stm32h723xg", {}),
        ("stm32l476xg", {}),
        ("stm32l476xe", {"DUALBANK": 1}),
        ("stm32l476xc", {"DUALBANK": 1}),
        ("stm32l496xe", {"DUALBANK": 1}),
        ("stm32l4r5xi", {"DBANK": 1}),
        ("stm32l4r5xg", {"DBANK": 1, "DB1M": 1}),
        ("stm32l4p5xg", {"DBANK": 1}),
        ("stm32l4p5xe", {"DBANK": 1, "DB1M": 1}),
        ("stm32l552xe", {"DBANK": 1, "SWAP_BANK": 0}),
        ("stm32l552xc", {"DBANK": 1, "DB256K": 1, "SWAP_BANK": 0}),
        ("stm32u575xi", {"SWAP_BANK": 0}),
        ("stm32u575xg", {"SWAP_BANK": 0, "DUALBANK": 1}),
        ("stm32u5a5xi", {"SWAP_BANK": 0, "DUALBANK": 1}),
        ("stm32u5a5xj", {"SWAP_BANK": 0}),
    ],
)
def test_the_fields_that_the_pages_hang_on_are_those_of_the_flash_size(name: str, fields: dict[str, int]) -> None:
    assert assumed(load_chip(name)) == fields


@pytest.mark.parametrize("name", MOVED)
def test_a_board_from_the_factory_has_the_pages_of_the_data_and_every_change_of_them_is_guarded(name: str) -> None:
    chip = load_chip(name)
    factory = chip.option_bytes.decode(chip.option_bytes.factory)
    assert chip.moved_pages(factory) == ()
    for field in chip.page_fields:
        assert chip.option_bytes.fields[field.name].width == 1
        moved = {**factory, field.name: 1 - int(field.value)}
        assert chip.moved_pages(moved) == (field,)
        assert chip.guards_entered(factory, moved), field.name


@pytest.mark.parametrize("name", NAMES)
def test_a_field_of_banks_moves_pages_or_is_of_no_effect_on_this_flash_size(name: str) -> None:
    chip = load_chip(name)
    for field in OF_BANKS & chip.option_bytes.fields.keys() - assumed(chip).keys():
        means = chip.option_bytes.fields[field].means
        assert "on chips" in means or "of no effect on" in means, (field, means)


@pytest.mark.parametrize("name", MOVED)
def test_what_moves_pages_names_its_documents_and_how_sure_it_is(name: str) -> None:
    facts = read_facts(name)
    geometry = facts["page-geometry"]
    assert set(geometry["source"]) <= set(facts["sources"])
    assert geometry["confidence"] in ("high", "medium", "low")
