"""What ROMs tell of their memory in the names of their alternate settings: every name seen in the wild, and every trap."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfurun.dfuse.layout import MemoryLayout, Segment, parse_layout
from dfurun.dfuse.link import AlternateSetting
from dfurun.usb.strings import decode_string

K, M = 1024, 1024 * 1024

# Ref: dfu-util device logs, ArduPilot, betaflight, qFlipper, candleLight and other public logs, one line a distinct string.
# Each zone is (start, [(count, sector size, letter)]).
Zone = tuple[int, list[tuple[int, int, str]]]
F4_FLASH = [(4, 16 * K, "g"), (1, 64 * K, "g")]
IN_THE_WILD: list[tuple[str, str, list[Zone]]] = [
    # F0: three and four digits, two blanks after the name
    ("@Internal Flash  /0x08000000/032*0001Kg", "Internal Flash", [(0x0800_0000, [(32, K, "g")])]),
    ("@Internal Flash  /0x08000000/064*0002Kg", "Internal Flash", [(0x0800_0000, [(64, 2 * K, "g")])]),
    ("@Option Bytes  /0x1FFFF800/01*016 e", "Option Bytes", [(0x1FFF_F800, [(1, 16, "e")])]),
    # F105/F107; the ROM V2.0 says g
    ("@Internal Flash  /0x08000000/128*002Kg", "Internal Flash", [(0x0800_0000, [(128, 2 * K, "g")])]),
    ("@Option Bytes  /0x1FFFF800/01*016 g", "Option Bytes", [(0x1FFF_F800, [(1, 16, "g")])]),
    # F405/F407/F412; the oldest ROM (bcdDevice 21.00) says g on alternates 1 to 3
    (
        "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg",
        "Internal Flash",
        [(0x0800_0000, [*F4_FLASH, (7, 128 * K, "g")])],
    ),
    ("@Option Bytes  /0x1FFFC000/01*016 e", "Option Bytes", [(0x1FFF_C000, [(1, 16, "e")])]),
    ("@Option Bytes  /0x1FFFC000/01*016 g", "Option Bytes", [(0x1FFF_C000, [(1, 16, "g")])]),
    ("@OTP Memory /0x1FFF7800/01*512 e,01*016 e", "OTP Memory", [(0x1FFF_7800, [(1, 512, "e"), (1, 16, "e")])]),
    ("@OTP Memory /0x1FFF7800/01*512 g,01*016 g", "OTP Memory", [(0x1FFF_7800, [(1, 512, "g"), (1, 16, "g")])]),
    ("@Device Feature/0xFFFF0000/01*004 e", "Device Feature", [(0xFFFF_0000, [(1, 4, "e")])]),
    ("@Device Feature/0xFFFF0000/01*004 g", "Device Feature", [(0xFFFF_0000, [(1, 4, "g")])]),
    # F401xB/C
    (
        "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,01*128Kg",
        "Internal Flash",
        [(0x0800_0000, [*F4_FLASH, (1, 128 * K, "g")])],
    ),
    # F401xD/E, F411, F446
    (
        "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,03*128Kg",
        "Internal Flash",
        [(0x0800_0000, [*F4_FLASH, (3, 128 * K, "g")])],
    ),
    # F413/F423: a count of three digits
    (
        "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,011*128Kg",
        "Internal Flash",
        [(0x0800_0000, [*F4_FLASH, (11, 128 * K, "g")])],
    ),
    # F42x/F43x: two banks in one zone, and two zones in one alternate
    (
        "@Internal Flash /0x08000000/04*016Kg,01*064Kg,07*128Kg,04*016Kg,01*064Kg,07*128Kg",
        "Internal Flash",
        [(0x0800_0000, [*F4_FLASH, (7, 128 * K, "g"), *F4_FLASH, (7, 128 * K, "g")])],
    ),
    (
        "@Option Bytes  /0x1FFFC000/01*016 e/0x1FFEC000/01*016 e",
        "Option Bytes",
        [(0x1FFF_C000, [(1, 16, "e")]), (0x1FFE_C000, [(1, 16, "e")])],
    ),
    (
        "@OTP Memory /0x1FFF7800/01*512 e,01*016 e/0x1FFE7800/01*512 e,01*016 e",
        "OTP Memory",
        [(0x1FFF_7800, [(1, 512, "e"), (1, 16, "e")]), (0x1FFE_7800, [(1, 512, "e"), (1, 16, "e")])],
    ),
    # F302/F303
    ("@Internal Flash  /0x08000000/128*0002Kg", "Internal Flash", [(0x0800_0000, [(128, 2 * K, "g")])]),
    # F72x: a size of two digits, and no multiplier at all (pydfu crashes on it)
    (
        "@Internal Flash  /0x08000000/04*016Kg,01*64Kg,03*128Kg",
        "Internal Flash",
        [(0x0800_0000, [*F4_FLASH, (3, 128 * K, "g")])],
    ),
    ("@Option Bytes  /0x1FFF0000/01*048 e", "Option Bytes", [(0x1FFF_0000, [(1, 48, "e")])]),
    ("@OTP Memory /0x1FF07800/01*528e", "OTP Memory", [(0x1FF0_7800, [(1, 528, "e")])]),
    # F74x
    (
        "@Internal Flash  /0x08000000/04*032Kg,01*128Kg,03*256Kg",
        "Internal Flash",
        [(0x0800_0000, [(4, 32 * K, "g"), (1, 128 * K, "g"), (3, 256 * K, "g")])],
    ),
    # L0: no multiplier, four digits of count, no padding
    ("@Internal Flash  /0x08000000/1536*128g", "Internal Flash", [(0x0800_0000, [(1536, 128, "g")])]),
    ("@Option Bytes  /0x1FF80000/01*032 e", "Option Bytes", [(0x1FF8_0000, [(1, 32, "e")])]),
    ("@DATA Memory /0x08080000/2*3Ke", "DATA Memory", [(0x0808_0000, [(2, 3 * K, "e")])]),
    # L1
    ("@Internal Flash  /0x08000000/1024*256 g", "Internal Flash", [(0x0800_0000, [(1024, 256, "g")])]),
    ("@DATA Memory /0x08080000/02*004Ke", "DATA Memory", [(0x0808_0000, [(2, 4 * K, "e")])]),
    # L4, L4+
    ("@Internal Flash  /0x08000000/0256*0002Kg", "Internal Flash", [(0x0800_0000, [(256, 2 * K, "g")])]),
    ("@Option Bytes  /0x1FFF7800/01*040 e", "Option Bytes", [(0x1FFF_7800, [(1, 40, "e")])]),
    ("@OTP Memory /0x1FFF7000/01*0001Ke", "OTP Memory", [(0x1FFF_7000, [(1, K, "e")])]),
    ("@Internal Flash  /0x08000000/512*0004Kg", "Internal Flash", [(0x0800_0000, [(512, 4 * K, "g")])]),
    (
        "@Option Bytes  /0x1FF00000/01*040 e/0x1FF01000/01*040 e",
        "Option Bytes",
        [(0x1FF0_0000, [(1, 40, "e")]), (0x1FF0_1000, [(1, 40, "e")])],
    ),
    # L5, G0, G4, H7, WB, U5: names padded by three blanks
    ("@Internal Flash   /0x08000000/256*02Kg", "Internal Flash", [(0x0800_0000, [(256, 2 * K, "g")])]),
    ("@Option Bytes   /0x40022040/01*48 e", "Option Bytes", [(0x4002_2040, [(1, 48, "e")])]),
    ("@OTP Memory   /0x1FFF7000/01*512 e", "OTP Memory", [(0x1FFF_7000, [(1, 512, "e")])]),
    ("@Internal Flash   /0x08000000/64*02Kg", "Internal Flash", [(0x0800_0000, [(64, 2 * K, "g")])]),
    ("@Option Bytes   /0x1FFF7800/01*048 e", "Option Bytes", [(0x1FFF_7800, [(1, 48, "e")])]),
    # G474: two zones (betaflight cuts the second off, dfu-core keeps only the second)
    (
        "@Option Bytes   /0x1FFF7800/01*048 e/0x1FFFF800/01*048 e",
        "Option Bytes",
        [(0x1FFF_7800, [(1, 48, "e")]), (0x1FFF_F800, [(1, 48, "e")])],
    ),
    ("@OTP Memory   /0x1FFF7000/01*1024 e", "OTP Memory", [(0x1FFF_7000, [(1, 1024, "e")])]),
    ("@Internal Flash   /0x08000000/16*128Kg", "Internal Flash", [(0x0800_0000, [(16, 128 * K, "g")])]),
    ("@Option Bytes   /0x5200201C/01*128 e", "Option Bytes", [(0x5200_201C, [(1, 128, "e")])]),
    ("@Internal Flash   /0x08000000/8*128Kg", "Internal Flash", [(0x0800_0000, [(8, 128 * K, "g")])]),
    ("@Option Bytes   /0x5200201C/01*88 e", "Option Bytes", [(0x5200_201C, [(1, 88, "e")])]),
    ("@Internal Flash   /0x08000000/256*08Kg", "Internal Flash", [(0x0800_0000, [(256, 8 * K, "g")])]),
    ("@Option Bytes   /0x5200201C/01*297 e", "Option Bytes", [(0x5200_201C, [(1, 297, "e")])]),
    ("@OTP Memory   /0x08FFF000/01*1024 e", "OTP Memory", [(0x08FF_F000, [(1, 1024, "e")])]),
    ("@Internal Flash   /0x08000000/256*04Kg", "Internal Flash", [(0x0800_0000, [(256, 4 * K, "g")])]),
    ("@Option Bytes   /0x40022040/01*64 e", "Option Bytes", [(0x4002_2040, [(1, 64, "e")])]),
    ("@OTP Memory   /0x0BFA0000/01*512 e", "OTP Memory", [(0x0BFA_0000, [(1, 512, "e")])]),
    ("@Internal Flash   /0x08000000/512*08Kg", "Internal Flash", [(0x0800_0000, [(512, 8 * K, "g")])]),
    ("@Internal Flash   /0x08000000/128*08Kg", "Internal Flash", [(0x0800_0000, [(128, 8 * K, "g")])]),
    # C5: one blank, and this is its only alternate
    ("@Internal Flash /0x08000000/64*08Kg", "Internal Flash", [(0x0800_0000, [(64, 8 * K, "g")])]),
    # a DFU program in user flash, by ST's HAL example
    (
        "@Internal Flash   /0x08000000/6*02Ka,58*02Kg",
        "Internal Flash",
        [(0x0800_0000, [(6, 2 * K, "a"), (58, 2 * K, "g")])],
    ),
    # SPRacing H7 EXST: a count of four digits
    (
        "@External Flash /0x90000000/1001*128Kg,3*128Kg,20*128Ka",
        "External Flash",
        [(0x9000_0000, [(1001, 128 * K, "g"), (3, 128 * K, "g"), (20, 128 * K, "a")])],
    ),
    # GD32VF103 (false, and well-formed)
    ("@Internal Flash  /0x08000000/512*002Kg", "Internal Flash", [(0x0800_0000, [(512, 2 * K, "g")])]),
    # AT32: a blank after the slash, a singular name, large numbers, a read-only first zone
    ("@Internal Flash  /0x08000000/ 128*1Kg", "Internal Flash", [(0x0800_0000, [(128, K, "g")])]),
    ("@Option Byte   /0x1FFFF800/02*016 e", "Option Byte", [(0x1FFF_F800, [(2, 16, "e")])]),
    ("@Internal Flash  /0x08000000/0512*002Kg", "Internal Flash", [(0x0800_0000, [(512, 2 * K, "g")])]),
    ("@Internal Flash   /0x08000000/128*002Kg", "Internal Flash", [(0x0800_0000, [(128, 2 * K, "g")])]),
    ("@Option byte   /0x1FFFF800/01*512g", "Option byte", [(0x1FFF_F800, [(1, 512, "g")])]),
    (
        "@Internal Flash   /0x08000000/08*04Ka,1000*04Kg",
        "Internal Flash",
        [(0x0800_0000, [(8, 4 * K, "a"), (1000, 4 * K, "g")])],
    ),
    ("@Option byte   /0x1FFFC000/01*4096 g", "Option byte", [(0x1FFF_C000, [(1, 4096, "g")])]),
    ("@Option byte   /0x1FFFC000/01*512 g", "Option byte", [(0x1FFF_C000, [(1, 512, "g")])]),
    # APM32F072: an address of seven digits
    (
        "@Internal Flash  /0x8000000/06*002Kg,058*002Kg",
        "Internal Flash",
        [(0x0800_0000, [(6, 2 * K, "g"), (58, 2 * K, "g")])],
    ),
]


def expected(name: str, zones: list[Zone]) -> MemoryLayout:
    """Return the layout of a line above."""
    segments: list[Segment] = []
    for address, sectors in zones:
        start = address
        for count, size, letter in sectors:
            segments.append(Segment(start, count, size, " abcdefg".index(letter)))
            start += count * size
    return MemoryLayout(name, tuple(segments))


@pytest.mark.parametrize(("text", "name", "zones"), IN_THE_WILD, ids=[text for text, _, _ in IN_THE_WILD])
def test_a_name_seen_in_the_wild_is_understood(text: str, name: str, zones: list[Zone]) -> None:
    layout = parse_layout(text)
    assert layout == expected(name, zones)
    assert layout.size_bytes == sum(count * size for _, sectors in zones for count, size, _ in sectors)


def test_no_name_stands_in_the_list_twice() -> None:
    texts = [text for text, _, _ in IN_THE_WILD]
    assert len(texts) == len(set(texts))


@pytest.mark.parametrize(
    ("text", "total"),
    [
        ("@Internal Flash  /0x08000000/064*0002Kg", 128 * K),
        ("@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg", 1 * M),
        ("@Internal Flash  /0x08000000/04*016Kg,01*064Kg,011*128Kg", 1536 * K),
        ("@Internal Flash /0x08000000/04*016Kg,01*064Kg,07*128Kg,04*016Kg,01*064Kg,07*128Kg", 2 * M),
        ("@Internal Flash  /0x08000000/1536*128g", 192 * K),
        ("@Internal Flash  /0x08000000/1024*256 g", 256 * K),
        ("@Internal Flash  /0x8000000/06*002Kg,058*002Kg", 128 * K),
        ("@Internal Flash   /0x08000000/08*04Ka,1000*04Kg", 4032 * K),
        ("@External Flash /0x90000000/1001*128Kg,3*128Kg,20*128Ka", 128 * M),
        ("@OTP Memory /0x1FF07800/01*528e", 528),
        ("@X/0x0/1*2Mg", 2 * M),
        ("@X/0x0/1*2Bg", 2),
    ],
)
def test_the_total_is_that_of_the_data_sheet(text: str, total: int) -> None:
    assert parse_layout(text).size_bytes == total


@pytest.mark.parametrize(
    ("letter", "readable", "erasable", "writable"),
    [
        ("a", True, False, False), ("b", False, True, False), ("c", True, True, False), ("d", False, False, True),
        ("e", True, False, True), ("f", False, True, True), ("g", True, True, True),
    ],
)  # fmt: skip
def test_a_type_letter_says_what_may_be_done(letter: str, readable: bool, erasable: bool, writable: bool) -> None:
    for written in (letter, letter.upper()):
        (segment,) = parse_layout(f"@X/0x0/1*1K{written}").segments
        assert (segment.readable, segment.erasable, segment.writable) == (readable, erasable, writable)


F072 = "@Internal Flash  /0x08000000/064*0002Kg"


@pytest.mark.parametrize(
    "text",
    [
        F072 + "\0",
        F072 + "\0\0/0xDEAD/garbage",
        F072 + "\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}",
        F072 + "\xff\xfeabc",
        F072 + "\n",
        F072 + "   ",
        "@Internal Flash  /0x08000000/64*2Kg",
        "@Internal Flash  /0X08000000/064*0002Kg",
        "@Internal Flash  /08000000/064*0002Kg",
        "@Internal Flash  /0x8000000/064*0002Kg",
        "@Internal Flash/0x08000000/064*0002Kg",
        "@  Internal Flash  / 0x08000000 / 064 * 0002 K g",
        "@Internal Flash  /0x08000000/064*2048g",
        "@Internal Flash  /0x08000000/064*2048 g",
        "@Internal Flash  /0x08000000/064*2048Bg",
        "@Internal Flash  /0x08000000/0000064*000002048g",
    ],
)
def test_what_roms_do_to_the_grammar_changes_nothing(text: str) -> None:
    assert parse_layout(text) == parse_layout(F072)


def test_a_name_that_a_rom_cut_off_is_read_as_far_as_it_was_sent() -> None:
    # F42x, F43x: bLength is 166 and 112 bytes are sent; libusb's own string reader refuses it.
    sent = "@Internal Flash  /0x08000000/04*016Kg,01*064Kg,07*128Kg"
    raw = bytes([166, 3]) + sent.encode("utf-16-le")
    assert len(raw) == 112
    assert parse_layout(decode_string(raw)).size_bytes == 1 * M


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' does not start with '@'"),
        ("STM32  BOOTLOADER", "'STM32  BOOTLOADER' does not start with '@'"),
        ("\0@Internal Flash/0x08000000/1*1Kg", "'' does not start with '@'"),
        ("@Internal Flash", "'@Internal Flash': expected /address/sectors after the name"),
        ("@Internal Flash/0x08000000", "'@Internal Flash/0x08000000': expected /address/sectors after the name"),
        ("@X/0x0/1*1Kg/0x1000", "'@X/0x0/1*1Kg/0x1000': expected /address/sectors after the name"),
        ("@X/0x/1*1Kg", "'@X/0x/1*1Kg': '0x' is not an address"),
        ("@X//1*1Kg", "'@X//1*1Kg': '' is not an address"),
        ("@X/0x123456789/1*1Kg", "'@X/0x123456789/1*1Kg': '0x123456789' is not an address"),
        ("@X/flash/1*1Kg", "'@X/flash/1*1Kg': 'flash' is not an address"),
        ("@X/0x0/", "'@X/0x0/': '' is not count*size and a type letter"),
        ("@X/0x0/1*1K", "'@X/0x0/1*1K': '1*1K' is not count*size and a type letter"),
        ("@X/0x0/1*1Kh", "'@X/0x0/1*1Kh': '1*1Kh' is not count*size and a type letter"),
        ("@X/0x0/1*1Gg", "'@X/0x0/1*1Gg': '1*1Gg' is not count*size and a type letter"),
        ("@X/0x0/*1Kg", "'@X/0x0/*1Kg': '*1Kg' is not count*size and a type letter"),
        ("@X/0x0/-1*1Kg", "'@X/0x0/-1*1Kg': '-1*1Kg' is not count*size and a type letter"),
        ("@X/0x0/1*1Kg,", "'@X/0x0/1*1Kg,': '' is not count*size and a type letter"),
        ("@X/0x0/1*1Kg 1*1Kg", "'@X/0x0/1*1Kg 1*1Kg': '1*1Kg 1*1Kg' is not count*size and a type letter"),
        ("@X/0x0/0*1Kg", "'@X/0x0/0*1Kg': '0*1Kg' does not fit into the 32-bit address space"),
        ("@X/0x0/1*0Kg", "'@X/0x0/1*0Kg': '1*0Kg' does not fit into the 32-bit address space"),
        ("@X/0xFFFFFC00/2*1Kg", "'@X/0xFFFFFC00/2*1Kg': '2*1Kg' does not fit into the 32-bit address space"),
    ],
)
def test_a_name_without_a_layout_is_refused_and_the_wrong_part_named(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message) + r"\Z"):
        parse_layout(text)
    assert AlternateSetting(0, text).layout is None


def test_the_last_byte_of_the_address_space_can_be_used() -> None:
    (segment,) = parse_layout("@X/0xFFFFFC00/1*1Kg").segments
    assert segment.extent.end == 1 << 32


@pytest.mark.parametrize(
    ("name", "is_flash", "is_option_bytes"),
    [
        ("Internal Flash", True, False),
        ("External Flash", False, False),
        ("Option Bytes", False, True),
        ("Option byte", False, True),
        ("OTP Memory", False, False),
        ("DATA Memory", False, False),
        ("Device Feature", False, False),
    ],
)
def test_main_flash_and_option_bytes_are_known_by_name(name: str, is_flash: bool, is_option_bytes: bool) -> None:
    layout = parse_layout(f"@{name} /0x0/1*1Kg")
    assert (layout.is_flash, layout.is_option_bytes) == (is_flash, is_option_bytes)


_blanks = st.text(" ", max_size=3)
_names = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="/"), max_size=20)
_multipliers = st.sampled_from([("", 1), (" ", 1), ("B", 1), ("K", K), ("M", M)])


@st.composite
def _zones(draw: st.DrawFn) -> tuple[str, list[Segment]]:
    """Draw one zone as some ROM might write it, and what it means."""
    start = address = draw(st.integers(0, 0x8000_0000))
    digits = draw(st.sampled_from(["{:X}", "{:x}", "{:08X}"])).format(address)
    text = f"{draw(_blanks)}{draw(st.sampled_from(['0x', '0X', '']))}{digits}{draw(_blanks)}/"
    segments, tokens = [], []
    for _ in range(draw(st.integers(1, 4))):
        unit, factor = draw(_multipliers)
        count = draw(st.integers(1, 1500))
        size = draw(st.integers(1, 4096 if factor == 1 else 256 if factor == K else 1))
        if start + count * size * factor > 1 << 32:
            count, size, factor, unit = 1, 16, 1, " "
        letter = draw(st.sampled_from("abcdefg"))
        numbers = f"{count:0{draw(st.integers(0, 5))}}{draw(_blanks)}*{draw(_blanks)}{size:0{draw(st.integers(0, 5))}}"
        tokens.append(f"{draw(_blanks)}{numbers}{unit}{draw(_blanks)}{letter}{draw(_blanks)}")
        segments.append(Segment(start, count, size * factor, ord(letter) & 7))
        start = segments[-1].extent.end
    return text + ",".join(tokens), segments


@given(_names, st.lists(_zones(), min_size=1, max_size=3), st.sampled_from(["", "\0", "\0\0x", "\xff", "\n@"]))
def test_a_layout_that_is_written_is_read_back(name: str, zones: list[tuple[str, list[Segment]]], tail: str) -> None:
    text = "@" + name + "/" + "/".join(text for text, _ in zones) + tail
    wanted = tuple(segment for _, segments in zones for segment in segments)
    assert parse_layout(text) == MemoryLayout(name.strip(), wanted)


@given(
    st.text(max_size=60)
    | st.text("@/*,0x129 KMBgeaz\0\xff", max_size=60).map("@".__add__)
    | st.sampled_from([text for text, _, _ in IN_THE_WILD]).flatmap(
        lambda text: st.tuples(st.integers(0, len(text)), st.characters()).map(
            lambda change: text[: change[0]] + change[1] + text[change[0] + 1 :]
        )
    )
)
def test_no_name_whatsoever_raises_anything_but_value_error(text: str) -> None:
    try:
        layout = parse_layout(text)
    except ValueError:
        return
    assert layout.segments
    assert all(0 <= s.extent.start < s.extent.end <= 1 << 32 and 0 < s.access < 8 for s in layout.segments)
