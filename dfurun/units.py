"""Quantities as people write them: `10s`, `128K`, `0x08000000`, `0x08000000+2K`, `0-3`; and back."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

KIBI = 1024

# The same patterns stand in schemas/recipe.schema.json, where editors see them; a test holds the two together.
DURATION_PATTERN = r"^[0-9]+(\.[0-9]+)?(ms|s|min)$"
TIMEOUT_PATTERN = DURATION_PATTERN.replace("^", "^(?=[0.]*[1-9])")  # a duration, and more than zero
VOLTAGE_PATTERN = r"^[0-9]{1,2}(\.[0-9]{1,3})?V$"
SIZE_PATTERN = r"^(0x[0-9a-fA-F]{1,8}|(0|[1-9][0-9]{0,9})[KM]?)$"
RANGE_PATTERN = r"^0x[0-9a-fA-F]{1,8}\+(0x[0-9a-fA-F]{1,8}|(0|[1-9][0-9]{0,9})[KM]?)$"
PAGES_PATTERN = r"^(0|[1-9][0-9]{0,4})(-(0|[1-9][0-9]{0,4}))?$"

_DURATION_UNIT_S = {"ms": 0.001, "s": 1.0, "min": 60.0}
_SIZE_UNIT_BYTES = {"": 1, "K": KIBI, "M": KIBI * KIBI}


@dataclass(frozen=True, slots=True, order=True)
class AddressRange:
    """`size_bytes` bytes from `start`; the end is exclusive."""

    start: int
    size_bytes: int

    @property
    def end(self) -> int:
        """The first address after the range."""
        return self.start + self.size_bytes

    @classmethod
    def between(cls, start: int, end: int) -> AddressRange:
        """Return the range from `start` up to `end`, exclusive."""
        return cls(start, end - start)

    def contains(self, other: AddressRange) -> bool:
        """Say whether `other` lies wholly inside."""
        return self.start <= other.start and other.end <= self.end

    def overlaps(self, other: AddressRange) -> bool:
        """Say whether the two share a byte."""
        return self.start < other.end and other.start < self.end

    def __str__(self) -> str:
        return f"{format_address(self.start)}..{format_address(self.end - 1)}"


def parse_duration(text: str) -> float:
    """Return seconds for `10s`, `250ms` or `2min`; raise ValueError for anything else."""
    if not re.fullmatch(DURATION_PATTERN, text):
        raise ValueError(f"{text!r} is not a duration such as 10s, 250ms or 2min")
    unit = "ms" if text.endswith("ms") else "min" if text.endswith("min") else "s"
    return float(text.removesuffix(unit)) * _DURATION_UNIT_S[unit]


def parse_voltage(text: str) -> float:
    """Return volts for `3.3V`; raise ValueError for anything else."""
    if not re.fullmatch(VOLTAGE_PATTERN, text):
        raise ValueError(f"{text!r} is not a voltage such as 3.3V")
    return float(text.removesuffix("V"))


def parse_size(value: int | str) -> int:
    """Return bytes for 2048, `2K` (K = 1024), `1M` or `0x800`; raise ValueError for anything else."""
    if isinstance(value, int):
        if value < 0:
            raise ValueError(f"{value} is negative")
        return value
    if not re.fullmatch(SIZE_PATTERN, value):
        why = "begins with a zero" if in_both_bases(value) else "is not a size such as 2048, 2K, 1M or 0x800"
        raise ValueError(f"{value!r} {why}")
    if value.startswith("0x"):
        return int(value, 16)
    digits = value.rstrip("KM")
    return int(digits) * _SIZE_UNIT_BYTES[value[len(digits) :]]


def in_both_bases(text: str) -> str:
    """Return how to write digits that begin with a zero, which one reader takes for decimal, another for octal or hexadecimal.

    Empty for any other text.
    """
    digits = text.rstrip("KM")
    if not re.fullmatch("0[0-9a-fA-F]+", digits):
        return ""
    meanings = [f"0x{text} in hexadecimal"] if digits == text and len(digits) <= 8 else []
    if digits.isdecimal():
        meanings.append(f"{text.lstrip('0') if digits.strip('0') else '0'} in decimal")
    return ", ".join(meanings)


def parse_address(value: int | str) -> int:
    """Return the address for 0x08000000, as a number or as text; raise ValueError for anything else."""
    if isinstance(value, str) and not re.fullmatch(SIZE_PATTERN, value) and not in_both_bases(value):
        raise ValueError(f"{value!r} is not an address such as 0x08000000")
    address = parse_size(value)
    if address > 0xFFFF_FFFF:
        raise ValueError(f"{value} does not fit in 32 bits")
    return address


def parse_range(text: str) -> AddressRange:
    """Return the range for `0x08000000+2K`; raise ValueError for anything else, and for an empty range."""
    if not re.fullmatch(RANGE_PATTERN, text):
        raise ValueError(f"{text!r} is not a range such as 0x08000000+2K")
    start, size = text.split("+")
    found = AddressRange(parse_address(start), parse_size(size))
    if found.size_bytes == 0:
        raise ValueError(f"{text!r} is an empty range")
    if found.end > 1 << 32:
        raise ValueError(f"{text!r} runs past the end of the 32-bit address space")
    return found


def parse_pages(value: int | str) -> range:
    """Return the page numbers for 3 or `0-3` (both ends included); raise ValueError for anything else."""
    text = str(value)
    if not re.fullmatch(PAGES_PATTERN, text):
        raise ValueError(f"{value!r} is not a page or a range of pages such as 3 or 0-3")
    first, _, last = text.partition("-")
    pages = range(int(first), int(last or first) + 1)
    if not pages:
        raise ValueError(f"{value!r}: the first page is after the last")
    return pages


def page_runs(pages: Iterable[int]) -> list[str]:
    """Return page numbers as a recipe writes them, those in a row as one range: `["0-3", "9"]`."""
    runs: list[list[int]] = []
    for page in sorted(set(pages)):
        if runs and runs[-1][1] + 1 == page:
            runs[-1][1] = page
        else:
            runs.append([page, page])
    return [str(first) if first == last else f"{first}-{last}" for first, last in runs]


def format_pages(pages: Iterable[int], unit: str) -> str:
    """Return pages by their numbers, in the chip's own word for them: `pages 0-3, 9`, `sector 2`."""
    runs = page_runs(pages)
    is_one = len(runs) == 1 and runs[0].isdecimal()
    return f"{unit}{'' if is_one else 's'} {', '.join(runs)}"


def format_address(address: int) -> str:
    """Return an address the way the reference manuals print it: `0x08000000`."""
    return f"0x{address:08X}"


def format_range(extent: AddressRange) -> str:
    """Return a range the way recipes write it: `0x08000000+128K`."""
    size = extent.size_bytes
    return f"{format_address(extent.start)}+" + (f"{size // KIBI}K" if size % KIBI == 0 else str(size))


def format_size(size_bytes: int) -> str:
    """Return `1 MiB` or `128 KiB` where it is a whole number of them, else `1234 bytes`."""
    if size_bytes and size_bytes % (KIBI * KIBI) == 0:
        return f"{size_bytes // (KIBI * KIBI)} MiB"
    if size_bytes and size_bytes % KIBI == 0:
        return f"{size_bytes // KIBI} KiB"
    return f"{size_bytes} byte{'' if size_bytes == 1 else 's'}"


def format_brief_size(size_bytes: int) -> str:
    """Return a size the way recipes write it: `1M`, `128K`, or a number of bytes."""
    if size_bytes and size_bytes % (KIBI * KIBI) == 0:
        return f"{size_bytes // (KIBI * KIBI)}M"
    return f"{size_bytes // KIBI}K" if size_bytes % KIBI == 0 else str(size_bytes)


def format_duration(seconds: float) -> str:
    """Return `250 ms` below a second, `3.2 s` below two minutes, `2 min 5 s` above."""
    if round(seconds * 1000) < 1000:
        return f"{seconds * 1000:.0f} ms"
    if round(seconds, 1) < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def format_hex(raw: bytes, *, group: int = 1) -> str:
    """Return bytes as `AA 55 FF 00`, a blank after every `group` bytes."""
    return raw.hex(" ", group).upper() if raw else ""
