"""Part numbers as people write them, and which chips they mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfurun.chips import chip_names
from dfurun.chips.left_out import lines_left_out
from dfurun.chips.part_number import Meant, meant_by, stem_of, title_of
from dfurun.chips.without_dfu import lines_without_dfu

NAMES = (
    "stm32f072x8", "stm32f072xb", "stm32f070x6", "stm32f070xb", "stm32f401xc", "stm32f401xe", "stm32g431x6", "stm32g431xb",
    "stm32wb55xc", "stm32wb55xg", "stm32l4r5xg", "stm32l4r5xi", "stm32g0b1xe", "stm32wba65xi",
)  # fmt: skip


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("STM32F072CBT6", ["stm32f072xb"]),
        ("stm32f072xb", ["stm32f072xb"]),
        (" f072cb ", ["stm32f072xb"]),
        ("F072", ["stm32f072x8", "stm32f072xb"]),
        ("f072c", ["stm32f072x8", "stm32f072xb"]),  # the letter of the pins, and none of the size
        ("f072xx", ["stm32f072x8", "stm32f072xb"]),
        ("STM32G431CBU6TR", ["stm32g431xb"]),
        ("wb55rg", ["stm32wb55xg"]),
        ("l4r5zi", ["stm32l4r5xi"]),
        ("STM32G0B1RET6N", ["stm32g0b1xe"]),
        ("STM32L4R5ZIT6P", ["stm32l4r5xi"]),
        ("wba65ri", ["stm32wba65xi"]),
        ("f40", ["stm32f401xc", "stm32f401xe"]),
        ("wb", ["stm32wb55xc", "stm32wb55xg", "stm32wba65xi"]),
        ("f401", ["stm32f401xc", "stm32f401xe"]),
        ("f072cz", []),
        ("f103c8", []),
        ("f0721", []),
        ("f072cbt6-ND", []),
        ("f", []),
        ("stm32", []),
        ("", []),
    ],
)
def test_a_part_number_means_the_chips_of_its_line_and_flash_size(written: str, names: list[str]) -> None:
    assert list(meant_by(written, NAMES).names) == names


def test_a_flash_size_that_a_line_does_not_have_leaves_the_line() -> None:
    assert meant_by("STM32F072CZT6", NAMES) == Meant((), "stm32f072", "z")


PACKAGES = st.one_of(st.just(""), st.from_regex(r"[a-z]([0-9]([a-z0-9]{0,4}))?", fullmatch=True))


@given(st.sampled_from(chip_names()), st.sampled_from("cfgkrtvz"), PACKAGES, st.booleans(), st.booleans())
def test_every_chip_is_meant_by_each_of_its_part_numbers(
    name: str, pins: str, package: str, prefix: bool, capitals: bool
) -> None:
    written = f"{stem_of(name)}{pins}{name[-1]}{package}".removeprefix("" if prefix else "stm32")
    assert meant_by(written.upper() if capitals else written, chip_names()).names == (name,)
    assert meant_by(title_of(name), chip_names()).names == (name,)


@given(st.text(max_size=30))
def test_any_text_means_chips_or_none(text: str) -> None:
    assert set(meant_by(text, NAMES).names) <= set(NAMES)


def test_no_chip_of_the_data_is_among_those_without_dfu_or_left_out_and_none_of_them_is_there_twice() -> None:
    without = [name for line in (*lines_without_dfu(), *lines_left_out()) for name in line.names]
    assert len(without) == len(set(without))
    assert not set(without) & set(chip_names())
