"""The firmware files of this folder, made: `PYTHONPATH=tests python tests/cases/images/make.py` writes them.

Each is read through the command line by tests/cli/test_check_images.py; the expected output is in the .txt of its name.
The ok-tool files are not made here: dfu-suffix and dfuse-pack of dfu-util 0.11 and objcopy of binutils 2.40 wrote them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from firmware_files import (
    FIRMWARE,
    FLASH,
    HEX_END,
    OPTION_BYTES,
    S_END,
    S_HEADER,
    Segment,
    dfuse,
    element,
    elf,
    hex_base,
    hex_data,
    hex_record,
    s_data,
    s_record,
    suffixed,
    target,
    text,
    vector_table,
)  # fmt: skip

FOLDER = Path(__file__).parent
TOOLS = ("ok-tool-dfu-suffix.dfu", "ok-tool-dfuse-pack.dfu", "ok-tool-objcopy.srec")


@dataclass(frozen=True)
class Case:
    """A file's bytes, and the address that the recipe gives."""

    data: bytes
    address: int | None = None


def at(data: bytes, address: int = FLASH) -> Case:
    return Case(data, address)


def put(data: bytes, offset: int, other: bytes) -> bytes:
    return data[:offset] + other + data[offset + len(other) :]


GOOD_HEX = hex_data(FLASH, FIRMWARE)
GOOD_S = s_data(FLASH, FIRMWARE)
GOOD_ELF = elf(Segment(FLASH, FIRMWARE), Segment(0x2000_0000, b"", memory_bytes=256))
GOOD_DFUSE = dfuse(target(element(FLASH, FIRMWARE)))
LEVEL_1 = bytes.fromhex("BB44F708FF00FF00FF00FF00FF00FF00")  # RDP level 1, nBOOT0 0
FACTORY = bytes.fromhex("AA55FF00FF00FF00FF00FF00FF00FF00")
OPTIONS_TARGET = target(element(OPTION_BYTES, LEVEL_1), alternate=1, name="@Option Bytes")
CUT_SHORT = -24  # inside the last record

HEX = {
    "hex-checksum.hex": Case(text(*GOOD_HEX[:-1], GOOD_HEX[-1][:-2] + "00", HEX_END)),
    "hex-cut-in-a-record.hex": Case(text(*GOOD_HEX)[:CUT_SHORT]),
    "hex-cut-between-records.hex": Case(text(*GOOD_HEX)),
    "hex-after-the-end.hex": Case(text(*GOOD_HEX, HEX_END, GOOD_HEX[1])),
    "hex-overlap.hex": Case(text(*GOOD_HEX, hex_record(0x1C, 0, b"\1\2\3\4\5\6"), HEX_END)),
    "hex-overlap-of-merged-files.hex": Case(text(*GOOD_HEX, *hex_data(FLASH + 16, b"\0" * 8), HEX_END)),
    "hex-leading-page.hex": Case(text("<!DOCTYPE html>", *GOOD_HEX, HEX_END)),
    "hex-leading-log.bin": at(text("$ objcopy -O ihex firmware.elf /dev/stdout", *GOOD_HEX, HEX_END)),
    "hex-byte-order-mark.hex": Case(b"\xef\xbb\xbf" + text(*GOOD_HEX, HEX_END)),
    "hex-utf-16.hex": Case(("\ufeff" + text(*GOOD_HEX, HEX_END).decode()).encode("utf-16-le")),
    "hex-utf-16.bin": at(("\ufeff" + text(*GOOD_HEX, HEX_END).decode()).encode("utf-16-le")),
    "hex-utf-16-no-mark.bin": at(text(*GOOD_HEX, HEX_END).decode().encode("utf-16-le")),
    "hex-behind-zeros.bin": at(bytes(512) + text(*GOOD_HEX, HEX_END)),
    "hex-not-ascii.hex": Case(text(GOOD_HEX[0], GOOD_HEX[1][:-1] + "\xb5", HEX_END)),
    "hex-unknown-type.hex": Case(text(*GOOD_HEX, hex_record(0, 9, b"\1"), HEX_END)),
    "hex-odd-digits.hex": Case(text(GOOD_HEX[0], GOOD_HEX[1][:-1], HEX_END)),
    "hex-past-the-addresses.hex": Case(text(hex_base(0xFFFF_0000), hex_record(0xFFFF, 0, b"ab"), HEX_END)),
    "hex-no-data.hex": Case(text(HEX_END)),
    "hex-with-an-address.bin": at(text(*GOOD_HEX, HEX_END)),
    "hex-elf-cut-short.hex": Case(GOOD_ELF[:100]),
    "hex-outside.hex": Case(text(*GOOD_HEX, *hex_data(0x0808_0000, b"eeprom"), HEX_END)),
    "hex-both-ends.hex": Case(text(*hex_data(0, b"low"), *hex_data(0xFFFF_FFF0, b"high"), HEX_END)),
    "hex-option-bytes.hex": Case(text(*GOOD_HEX, *hex_data(OPTION_BYTES, LEVEL_1), HEX_END)),
    "hex-option-bytes-factory.hex": Case(text(*GOOD_HEX, *hex_data(OPTION_BYTES, FACTORY), HEX_END)),
    "hex-option-bytes-half.hex": Case(text(*GOOD_HEX, *hex_data(OPTION_BYTES + 2, b"\x77"), HEX_END)),
    "hex-option-bytes-spoiled.hex": Case(text(*GOOD_HEX, *hex_data(OPTION_BYTES + 2, b"\x77\x77"), HEX_END)),
    "hex-option-bytes-half-and-spoiled.hex": Case(
        text(*GOOD_HEX, *hex_data(OPTION_BYTES + 2, b"\x77"), *hex_data(OPTION_BYTES + 6, b"\1\2\3\4"), HEX_END)
    ),
    "hex-segment-end.hex": Case(text(hex_record(0, 2, b"\xf0\x00"), hex_record(0xFFFE, 0, b"abcd"), HEX_END)),
    "hex-scattered.hex": Case(
        text(*GOOD_HEX, hex_base(0x0900_0000), *(hex_record(at * 32, 0, b"eeprom") for at in range(200)), HEX_END)
    ),
    "hex-option-bytes-alone.hex": Case(text(*hex_data(OPTION_BYTES, LEVEL_1), HEX_END)),
}

S_RECORDS = {
    "srec-checksum.s37": Case(text(S_HEADER, GOOD_S[0], GOOD_S[1][:-2] + "00", S_END)),
    "srec-cut-in-a-record.s37": Case(text(S_HEADER, *GOOD_S)[:CUT_SHORT]),
    "srec-cut-between-records.s37": Case(text(S_HEADER, *GOOD_S)),
    "srec-count.s37": Case(text(S_HEADER, *GOOD_S, s_record(5, 3), S_END)),
    "srec-width.s19": Case(text(S_HEADER, *s_data(0x100, FIRMWARE, 1), S_END)),
    "srec-past-its-addresses.s19": Case(text(S_HEADER, s_record(1, 0xFFFF, b"ab"), s_record(9, 0))),
    "srec-symbols.s37": Case(text(S_HEADER, s_record(4, FLASH, b"main"), *GOOD_S, S_END)),
    "srec-overlap.s37": Case(text(S_HEADER, *GOOD_S, s_record(3, FLASH + 12, b"\0" * 8), S_END)),
    "srec-after-the-end.s37": Case(text(S_HEADER, *GOOD_S, S_END, GOOD_S[0])),
    "srec-length.s37": Case(text(S_HEADER, GOOD_S[0] + "00", GOOD_S[1], S_END)),
    "srec-page.s37": Case(text("<!DOCTYPE html>", "404")),
    "srec-leading-log.bin": at(text("reading firmware.elf", S_HEADER, *GOOD_S, S_END)),
    "srec-no-data.s37": Case(text(S_HEADER, S_END)),
    "srec-in-ram.s37": Case(text(S_HEADER, *GOOD_S, s_record(3, 0x2000_0000, b"data"), S_END)),
}

ELF = {
    "elf-header-cut-short.bin": at(GOOD_ELF[:20]),
    "elf-64-bit.elf": Case(elf(Segment(FLASH, FIRMWARE), width=2)),
    "elf-no-width.elf": Case(elf(Segment(FLASH, FIRMWARE), width=7)),
    "elf-big-endian.elf": Case(elf(Segment(FLASH, FIRMWARE), order=2)),
    "elf-not-linked.o": Case(elf(kind=1)),
    "elf-shared.so": Case(elf(Segment(FLASH, FIRMWARE), kind=3)),
    "elf-of-a-pc.elf": Case(elf(Segment(FLASH, FIRMWARE), machine=3)),
    "elf-of-an-unknown-machine.elf": Case(elf(Segment(FLASH, FIRMWARE), machine=0xBEEF)),
    "elf-no-segments.elf": Case(elf()),
    "elf-odd-headers.elf": Case(elf(Segment(FLASH, FIRMWARE), segment_bytes=40)),
    "elf-segment-cut-short.elf": Case(GOOD_ELF[:-8]),
    "elf-headers-cut-short.elf": Case(GOOD_ELF[:70]),
    "elf-sections-cut-short.elf": Case(elf(Segment(FLASH, FIRMWARE), sections=(0x1000, 12))),
    "elf-overlap.elf": Case(elf(Segment(FLASH, FIRMWARE), Segment(FLASH + 16, b"\0" * 32))),
    "elf-own-headers.elf": Case(elf(Segment(FLASH, FIRMWARE, offset=0, file_bytes=116, memory_bytes=116))),
    "elf-larger-than-memory.elf": Case(elf(Segment(FLASH, FIRMWARE, memory_bytes=4))),
    "elf-nothing-to-load.elf": Case(elf(Segment(0x2000_0000, b"", memory_bytes=64), Segment(FLASH, b"note", kind=4))),
    "elf-same-bytes-again-and-again.elf": Case(
        elf(*(Segment(FLASH + 0x1000 * n, b"", offset=52, file_bytes=300, memory_bytes=300) for n in range(10)))
    ),
    "elf-past-the-addresses.elf": Case(elf(Segment(0xFFFF_FFF0, FIRMWARE))),
    "elf-data-in-ram.elf": Case(elf(Segment(FLASH, FIRMWARE), Segment(0x2000_0000, b"data"))),
}

DFUSE = {
    "dfuse-half.dfu": Case(GOOD_DFUSE[: len(GOOD_DFUSE) // 2]),
    "dfuse-prefix-cut-short.bin": at(GOOD_DFUSE[:9]),
    "dfuse-crc.dfu": Case(put(GOOD_DFUSE, 300, b"\xff")),
    "dfuse-version.dfu": Case(dfuse(target(element(FLASH, FIRMWARE)), version=2)),
    "dfuse-size.dfu": Case(dfuse(target(element(FLASH, FIRMWARE)), size=4096)),
    "dfuse-suffix-version.dfu": Case(dfuse(target(element(FLASH, FIRMWARE)), dfu_version=0x0100)),
    "dfuse-bytes-after-targets.dfu": Case(dfuse(target(element(FLASH, FIRMWARE)), more=b"\0\0\0")),
    "dfuse-not-a-target.dfu": Case(dfuse(target(element(FLASH, FIRMWARE), signature=b"target"))),
    "dfuse-target-size.dfu": Case(dfuse(target(element(FLASH, FIRMWARE), size=32))),
    "dfuse-element-size.dfu": Case(dfuse(target(element(FLASH, FIRMWARE, size=4096)))),
    "dfuse-target-missing.dfu": Case(suffixed(put(GOOD_DFUSE, 10, b"\2")[:-16], version=0x011A)),
    "dfuse-nothing.dfu": Case(dfuse()),
    "dfuse-past-the-addresses.dfu": Case(dfuse(target(element(0xFFFF_FFF0, FIRMWARE)))),
    "dfuse-overlap.dfu": Case(dfuse(target(element(FLASH, FIRMWARE)), target(element(FLASH + 16, FIRMWARE)))),
    "dfuse-other-device.dfu": Case(dfuse(target(element(FLASH, FIRMWARE)), vendor=0x1209, product=0x2444)),
    "dfuse-one-time-memory.dfu": Case(
        dfuse(target(element(FLASH, FIRMWARE)), target(element(0x1FFF_7800, b"key"), alternate=2, name="@OTP Memory"))
    ),
    "dfuse-flash-elsewhere.dfu": Case(dfuse(target(element(FLASH, FIRMWARE), alternate=1, name="@Option Bytes"))),
    "dfuse-option-bytes.dfu": Case(dfuse(target(element(FLASH, FIRMWARE)), OPTIONS_TARGET)),
    "dfuse-option-bytes-alone.dfu": Case(dfuse(OPTIONS_TARGET)),
}

SUFFIXED = {
    "suffix-crc.dfu": at(put(suffixed(FIRMWARE), 12, b"\xff")),
    "suffix-missing.dfu": at(FIRMWARE),
    "suffix-cut-short.bin": at(suffixed(FIRMWARE)[:-3]),
    "suffix-and-more.bin": at(suffixed(FIRMWARE) + b"\n"),
    "suffix-length.dfu": at(suffixed(FIRMWARE, length=20)),
    "suffix-version.dfu": at(suffixed(FIRMWARE, version=0x0200)),
    "suffix-of-dfuse.dfu": at(suffixed(FIRMWARE, version=0x011A)),
    "suffix-other-device.dfu": at(suffixed(FIRMWARE, product=0x5740)),
    "suffix-around-hex.dfu": Case(suffixed(text(*GOOD_HEX, HEX_END))),
    "suffix-alone.dfu": at(suffixed(b"")),
    "suffix-no-address.dfu": Case(suffixed(FIRMWARE)),
}

RAW = {
    "raw-empty.bin": at(b""),
    "raw-no-address.bin": Case(FIRMWARE),
    "raw-large-file-pointer.bin": at(
        text("version https://git-lfs.github.com/spec/v1", f"oid sha256:{'0' * 64}", "size 4744")
    ),
    "raw-uf2.bin": at(struct.pack("<II", 0x0A324655, 0x9E5D5157) + bytes(504)),
    "raw-past-the-flash.bin": at(FIRMWARE, 0x0801_FFF0),
    "raw-past-the-addresses.bin": at(FIRMWARE, 0xFFFF_FFF0),
}

VECTORS = {
    "vectors-no-stack.bin": at(vector_table(stack=0x2000_4004) + FIRMWARE),
    "vectors-no-reset.bin": at(vector_table(reset=0x0802_0001) + FIRMWARE),
    "vectors-even.bin": at(vector_table(reset=FLASH + 8) + FIRMWARE),
    "vectors-erased.bin": at(b"\xff" * 16 + FIRMWARE),
    "vectors-swapped.bin": at(FIRMWARE[8:]),
    "vectors-cut-short.bin": at(FIRMWARE[:4]),
}

OK = {
    "ok-firmware.hex": Case(text(*GOOD_HEX, hex_record(0, 5, struct.pack(">I", FLASH + 9)), HEX_END)),
    "ok-two-start-addresses.hex": Case(
        text(hex_record(0, 3, b"\x00\x00\x00\x00"), *GOOD_HEX, hex_record(0, 5, struct.pack(">I", FLASH + 9)), HEX_END)
    ),
    "ok-firmware.s37": Case(text(S_HEADER, *GOOD_S, s_record(5, 2), S_END, end="\r\n")),
    "ok-lower-case.bin": Case(text(S_HEADER, *GOOD_S, S_END).lower()),
    "ok-firmware.elf": Case(GOOD_ELF),
    "ok-firmware.dfu": Case(GOOD_DFUSE),
    "ok-firmware.bin": at(FIRMWARE),
    "ok-suffixed.dfu": at(suffixed(FIRMWARE)),
    "ok-for-every-device.dfu": Case(dfuse(target(element(FLASH, FIRMWARE)), vendor=0xFFFF, product=0xFFFF)),
    "ok-two-elements.dfu": Case(dfuse(target(element(FLASH + 16, FIRMWARE[16:]), element(FLASH, FIRMWARE[:16])))),
    "ok-data-by-physical-address.elf": Case(
        elf(Segment(FLASH, FIRMWARE[:24]), Segment(FLASH + 24, FIRMWARE[24:], virtual=0x2000_0000))
    ),
    "ok-elf-called.hex": Case(GOOD_ELF),
    "ok-hex-called.bin": Case(text(*GOOD_HEX, HEX_END)),
    "ok-s-record-called.hex": Case(text(S_HEADER, *GOOD_S, S_END)),
    "ok-dfuse-called.bin": Case(GOOD_DFUSE),
}

CASES: dict[str, Case] = HEX | S_RECORDS | ELF | DFUSE | SUFFIXED | RAW | VECTORS | OK

if __name__ == "__main__":
    for name, case in CASES.items():
        (FOLDER / name).write_bytes(case.data)
