"""The option-byte codec on every layout that the data has: what is named is read back, and everything else stays."""

from __future__ import annotations

from collections.abc import Callable
from difflib import SequenceMatcher
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfurun.chips import FieldValue, OptionField, OptionLayout, load_chip
from dfurun.chips.index import entries
from dfurun.simulator.option_bytes import OptionBytes
from dfurun.steps.step import did_you_mean

# Chips that differ in the size of their flash alone have the same layout.
LAYOUTS = {repr(load_chip(entry.names[0]).option_bytes): entry.names[0] for entry in entries()}
every_layout = pytest.mark.parametrize("name", sorted(LAYOUTS.values()))


def layout_of(name: str) -> OptionLayout:
    return load_chip(name).option_bytes


def values(field: OptionField) -> st.SearchStrategy[FieldValue]:
    return st.sampled_from(sorted(field.values)) if field.values else st.integers(0, (1 << field.width) - 1)


def images(layout: OptionLayout) -> st.SearchStrategy[bytes]:
    """Return raw option bytes: anything at all, and such as a chip would store."""
    anything = st.binary(min_size=layout.size_bytes, max_size=layout.size_bytes)
    return st.one_of(anything, anything.map(lambda raw: layout.with_complements(raw, layout.data_offsets())))


def some_fields(layout: OptionLayout) -> st.SearchStrategy[dict[str, Any]]:
    every = {name: values(field) for name, field in layout.fields.items()}
    return st.fixed_dictionaries({}, optional=every) if every else st.just({})


@every_layout
@given(data=st.data())
def test_what_is_named_is_read_back_and_every_other_bit_stays(name: str, data: st.DataObject) -> None:
    layout = layout_of(name)
    image, named = data.draw(images(layout)), data.draw(some_fields(layout))
    written = layout.encode(image, named)
    assert layout.decode(written) == layout.decode(image) | named
    named_bits = 0
    for field in named:
        named_bits |= layout.fields[field].mask
    copied = {at for copy in layout.copies for at in range(copy.target, copy.target + copy.size_bytes)}
    masks = dict(zip(layout.data_offsets(), named_bits.to_bytes(len(layout.data_offsets()), "little"), strict=True))
    taken = layout.encode(image, {})  # as the chip takes it: what is spoiled counts as erased
    for at in set(masks) - copied:
        assert written[at] & ~masks[at] == taken[at] & ~masks[at]
    if not layout.storage.shape.judged:
        assert all(written[at] == image[at] for at in range(len(image)) if at not in masks)


@every_layout
@given(data=st.data())
def test_complements_and_copies_of_what_is_written_are_right(name: str, data: st.DataObject) -> None:
    layout = layout_of(name)
    shape = layout.storage.shape
    image, named = data.draw(images(layout)), data.draw(some_fields(layout))
    written = layout.encode(image, named)
    held = [at for at in range(0, layout.size_bytes, shape.step_bytes) if layout.fields_at(at)]
    if shape.judged:
        assert not set(held) & set(layout.spoiled(written))
    for copy in layout.copies:
        source, target = (slice(at, at + copy.size_bytes) for at in (copy.source, copy.target))
        fields = [layout.fields[field] for field in layout.fields_at(copy.source)]
        if any(field.name in named and layout.decode(image)[field.name] != named[field.name] for field in fields):
            assert written[source] == written[target]
        else:
            assert written[target] == image[target]


@every_layout
@given(data=st.data())
def test_the_simulated_board_takes_bytes_for_what_the_client_takes_them_for(name: str, data: st.DataObject) -> None:
    layout, flash = layout_of(name), load_chip(name).flash
    image = bytearray(data.draw(images(layout)))
    for copy in layout.copies:  # in force is what was programmed last
        image[copy.target : copy.target + copy.size_bytes] = image[copy.source : copy.source + copy.size_bytes]
    board = OptionBytes(layout, bytes(image))
    assert board.fields == layout.decode(bytes(image))
    told = sorted(board.write_protected(flash), key=lambda part: (part.start, part.size_bytes))
    assert told == sorted(layout.write_protected(bytes(image), flash), key=lambda part: (part.start, part.size_bytes))
    assert layout.effective(board.in_force) == layout.effective(bytes(image))


@every_layout
def test_fields_are_where_data_is_and_leave_no_field_without_a_bit(name: str) -> None:
    layout, taken = layout_of(name), 0
    assert len(layout.factory) == layout.size_bytes
    for field in layout.fields.values():
        assert field.byte in layout.data_offsets()
        assert 1 <= field.width <= 32
        assert not taken & field.mask
        assert field.mask < 1 << 8 * len(layout.data_offsets())
        taken |= field.mask
    targets = {at for copy in layout.copies for at in range(copy.target, copy.target + copy.size_bytes)}
    assert not {layout.data_offsets()[f.position // 8] for f in layout.fields.values()} & targets
    assert all(copy.target + copy.size_bytes <= layout.size_bytes for copy in layout.copies)


@every_layout
def test_each_field_alone_changes_its_own_bits_alone(name: str) -> None:
    layout = layout_of(name)
    before = layout.decode(layout.factory)
    for field in layout.fields.values():
        other = next((v for v in field.values if v != before[field.name]), None)
        number = before[field.name]
        value: FieldValue = number ^ 1 if isinstance(number, int) else str(other)
        written = layout.encode(layout.factory, {field.name: value})
        (change,) = layout.changes(layout.factory, written)
        assert (change.field, change.after) == (field, value)
        assert layout.encode(written, {field.name: before[field.name]}) == layout.factory


@every_layout
@given(data=st.data())
def test_protected_pages_are_told_as_they_were_asked_for(name: str, data: st.DataObject) -> None:
    layout, flash = layout_of(name), load_chip(name).flash
    rule = layout.write_protection
    if rule is None:
        return
    first = data.draw(st.integers(0, flash.page_count - 1))
    wanted = range(first, data.draw(st.integers(first, flash.page_count - 1)) + 1)
    try:
        numbers = rule.protecting(wanted, flash)
    except ValueError:  # they are protected together with others, or not at all
        return
    written = layout.encode(layout.factory, {n: layout.fields[n].name_of(v) for n, v in numbers.items()})
    told = [index for part in layout.write_protected(written, flash) for index in flash.pages_of(part)]
    assert told == list(wanted)


MISSPELT: dict[str, Callable[[str], str]] = {
    "another case": str.swapcase,
    "a letter twice": lambda name: name[:-1] + name[-1] * 2,
    "a letter missing": lambda name: name[0] + name[2:],
    "two letters in the wrong order": lambda name: name[0] + name[2:3] + name[1:2] + name[3:],
    "no underscores": lambda name: name.replace("_", ""),
    "dashes": lambda name: name.replace("_", "-"),
}


def folded(name: str) -> str:
    return name.casefold().replace("_", "-")


@pytest.mark.parametrize("how", MISSPELT)
@every_layout
def test_a_misspelt_field_gets_the_right_one_on_every_chip(name: str, how: str) -> None:
    """Where what was written is another field, or as near to one, that one may be told beside it."""
    fields = layout_of(name).fields
    for field in fields:
        written = MISSPELT[how](field)
        if written in fields:
            continue
        told = did_you_mean(written, fields)
        likeness = {other: SequenceMatcher(None, folded(other), folded(written)).ratio() for other in fields}
        nearer = [other for other in fields if likeness[other] > likeness[field]]
        assert any(f"{right!r}" in told for right in (nearer or [field])), f"{written}: {told}"
        assert told.startswith("did you mean "), f"{written}: {told}"


@every_layout
def test_rdp_has_the_levels_of_its_family(name: str) -> None:
    fields = layout_of(name).fields
    if not fields:
        return
    levels = fields["RDP"].values
    assert ("level-0.5" in levels) is ("TZEN" in fields), "half a level is of chips with TrustZone alone"
    assert levels.get("level-0.5", 0x55) == 0x55
    first_generation = "level-2" not in levels
    assert levels["level-0"] == (0xA5 if first_generation else 0xAA)
    assert levels.get("level-2", 0xCC) == 0xCC
    assert fields["RDP"].otherwise == "level-1", "everything else is level 1"
    assert fields["RDP"].name_of(0x00) == fields["RDP"].name_of(0xFF) == "level-1"


def test_one_family_alone_has_a_key_of_its_own_and_no_level_2() -> None:
    fields = [(entry.family, load_chip(entry.names[0]).option_bytes.fields.get("RDP")) for entry in entries()]
    assert {family for family, field in fields if field and "level-2" not in field.values} == {"STM32F1"}
