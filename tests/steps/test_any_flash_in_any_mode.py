"""Whatever the chip, the image, the old contents, the mode and the fault: what passes leaves the image and nothing else."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bench import run_on
from chip_bench import CHIPS, reachable_options
from hypothesis import event, given, settings
from hypothesis import strategies as st
from intelhex import IntelHex

from dfurun.chips import Chip, Flash, load_chip
from dfurun.clock import VirtualClock
from dfurun.image import MemoryImage, Piece
from dfurun.simulator import SimulatedBoard, parse_fault
from dfurun.units import AddressRange, format_range

MOST_BYTES = 6 * 1024  # of a piece
MOST_EXAMPLES = 60

# Each run has the same examples; `--hypothesis-profile=search` has others, and many.
searching = settings.default.max_examples > 1000
some = settings(max_examples=settings.default.max_examples if searching else MOST_EXAMPLES, derandomize=not searching)

MODES = {
    "mass-erase, write": ("mass-erase", "write: {image: a}"),
    "erase, write": ("erase: {image: a}", "write: {image: a}"),
    "erase needed, write": ("erase: {image: a, mode: needed}", "write: {image: a}"),
    "erase a range, write": ("erase: {range: RANGE}", "write: {image: a}"),
    "erase a range needed, write": ("erase: {range: RANGE, mode: needed}", "write: {image: a}"),
    "changed": ("write: {image: a, mode: changed}",),
    "mass-erase, changed": ("mass-erase", "write: {image: a, mode: changed}"),
    "erase needed, changed": ("erase: {image: a, mode: needed}", "write: {image: a, mode: changed}"),
}
# What the protocol shows, or a page that is read back: a run needs no `verify` to be right about it. In braces is how many
# occasions are let pass, of as many as a run without a fault has.
SHOWN = (
    "stall:skip={transfers}", "timeout:skip={transfers}", "lost-reply:skip={transfers}", "overflow:skip={transfers}",
    "stall:skip={transfers},count=3", "lost-reply:skip={transfers},count=3", "missed-service:skip={transfers},count=4",
    "missed-service:p=0.6,count=always,seed={transfers}", "vanish:at={transfers},back=1", "power-cut:at={transfers},back=1",
    "false-errvendor:skip={uploads}", "short-upload:skip={uploads}", "false-errtarget:skip={erases}",
    "false-status:status=errUNKNOWN,skip={programs}", "power-cut:for=write,skip={programs},back=1",
    "power-cut:for=erase,skip={erases},back=1", "lost-erase:for=erase,skip={erases}", "lost-erase:for=erase,skip={erases}",
)  # fmt: skip
# What only `verify` shows in flash that an earlier step has erased; what `mode: changed` writes it reads back.
SILENT = ("lost-program:skip={programs}", "flip-program:skip={programs},seed={transfers}")
# What is not to be believed, or not without a `verify`.
UNCERTAIN = (
    "lost-erase:skip={erases}",
    "corrupt-upload:skip={uploads},seed={transfers}",
    "mix:p=0.02,seed={transfers}",
)
FAULTS_A_CASE = 3


@dataclass(frozen=True)
class Case:
    """A board with old contents, and an image."""

    chip: Chip
    image: MemoryImage
    before: bytes

    @property
    def pages(self) -> list[int]:
        return sorted({page for piece in self.image.pieces for page in self.chip.flash.pages_of(piece.extent)})

    @property
    def range(self) -> AddressRange:
        flash = self.chip.flash
        return AddressRange.between(flash.page(self.pages[0]).start, flash.page(self.pages[-1]).end)

    def steps(self, mode: str) -> list[str]:
        return [step.replace("RANGE", format_range(self.range)) for step in MODES[mode]]

    def after(self, mode: str) -> bytes:
        """Return what the flash holds once the steps were done, from what the words of the recipe mean."""
        flash, under = self.chip.flash, bytearray(self.before)
        for step in MODES[mode]:
            erased = {"mass-erase": range(flash.page_count), "erase: {image": self.pages}
            erased["erase: {range"] = range(self.pages[0], self.pages[-1] + 1)
            for page in next((pages for words, pages in erased.items() if step.startswith(words)), []):
                place = slice(flash.page(page).start - flash.extent.start, flash.page(page).end - flash.extent.start)
                under[place] = flash.blank(page)
        return self.image.overlay(flash.extent, bytes(under))


@st.composite
def images(draw: st.DrawFn, flash: Flash) -> MemoryImage:
    """Pieces with unaligned ends and blank runs, in neighbouring pages or far apart, perhaps up to the flash's last byte."""
    page = draw(st.sampled_from([0, 0, 1, flash.page_count // 2]))
    step = flash.write_alignment_bytes
    address = flash.page(page).start + step * draw(st.sampled_from([0, 0, 1, 5, 40]))
    pieces: list[Piece] = []
    for number in range(draw(st.integers(1, 4))):
        size = min(draw(st.integers(1, MOST_BYTES)), flash.extent.end - address)
        if size <= 0:
            break
        seed = draw(st.binary(min_size=1, max_size=5))
        data = bytearray((seed * (size // len(seed) + 1))[:size])
        blank = slice(draw(st.integers(0, size)), draw(st.integers(0, size)))
        data[blank] = bytes([flash.erased]) * len(data[blank])
        pieces.append(Piece(address, bytes(data)))
        far = draw(st.booleans()) and number == 0
        address += size + (flash.page(page).size_bytes if far else draw(st.integers(1, 600)))
    if draw(st.booleans()) and (rest := flash.extent.end - address) > 0:
        size = draw(st.integers(1, min(rest, 300)))
        pieces.append(Piece(flash.extent.end - size, draw(st.binary(min_size=1, max_size=1)) * size))
    return MemoryImage.of(pieces)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    chip = load_chip(draw(st.sampled_from(CHIPS)))
    flash = chip.flash
    image = draw(images(flash))
    blank = bytes([flash.erased]) * flash.extent.size_bytes
    filler = (draw(st.binary(min_size=1, max_size=7)) * flash.extent.size_bytes)[: flash.extent.size_bytes]
    marked = bytearray(blank)
    for _ in range(draw(st.integers(1, 6))):
        near = draw(st.sampled_from(image.pieces)).address - flash.extent.start + draw(st.integers(-300, 3000))
        marked[max(0, min(near, len(marked) - 1))] = flash.erased ^ 0x3C
    there = bytearray(image.overlay(flash.extent, draw(st.sampled_from([blank, filler]))))
    nearly = bytearray(there)
    for _ in range(draw(st.integers(1, 2))):
        piece = draw(st.sampled_from(image.pieces))
        nearly[piece.address - flash.extent.start + draw(st.integers(0, len(piece.data) - 1))] ^= 0x24
    half = len(filler) // 2
    held = [blank, filler, filler[:half] + blank[half:], bytes(marked), bytes(there), bytes(nearly)]
    return Case(chip, image, draw(st.sampled_from(held)))


@dataclass(frozen=True)
class Done:
    """What came of a run, and how many occasions for faults it had, by their names in the faults' texts."""

    status: int
    held: bytes
    messages: list[str]
    occasions: dict[str, int]


def fault(data: st.DataObject, kinds: tuple[str, ...], clean: Done) -> str:
    """Return a fault at one of the occasions that the clean run had."""
    skips = {name: data.draw(st.integers(0, max(0, count - 1)), name) for name, count in clean.occasions.items()}
    return data.draw(st.sampled_from(kinds), "fault").format(**skips)


@cache
def option_bytes(name: str) -> bytes:
    """Return option bytes with which BOOT0 starts the bootloader, whatever the flash holds."""
    return reachable_options(load_chip(name))


def run(case: Case, steps: list[str], texts: list[str]) -> Done:
    """Run steps on a board with faults."""
    chip = case.chip
    board = SimulatedBoard(
        chip,
        VirtualClock(),
        flash=case.before,
        option_bytes=option_bytes(chip.name),
        faults=[parse_fault(text) for text in texts],
        trace_length=100_000,
    )
    with tempfile.TemporaryDirectory() as name:
        folder, hex_file = Path(name), IntelHex()
        for piece in case.image.pieces:
            hex_file.puts(piece.address, piece.data)
        hex_file.write_hex_file(str(folder / "a.hex"))
        lines = ["dfurun: 1", "name: t", f"chip: {chip.name}", "images: {a: {file: a.hex}}", "steps:"]
        lines += [f"  - {step}" for step in ("connect", *steps)]
        (folder / "recipe.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
        finished, messages = run_on(board, folder / "recipe.yaml", folder)
    board.clock.sleep(60)
    sent = [(entry.setup.name, entry.setup.value, entry.data) for entry in board.trace]
    occasions = {
        "transfers": len(sent),
        "uploads": sum(name == "UPLOAD" for name, _, _ in sent),
        "erases": sum(name == "DNLOAD" and value == 0 and data[:1] == b"\x41" for name, value, data in sent),
        "programs": sum(name == "DNLOAD" and value >= 2 and data != b"" for name, value, data in sent),
    }
    return Done(finished.exit_status, board.flash.contents, messages, occasions)


modes = st.sampled_from(sorted(MODES))


@some
@given(case=cases(), mode=modes, data=st.data())
def test_with_a_verify_no_fault_leaves_anything_else(case: Case, mode: str, data: st.DataObject) -> None:
    steps = [*case.steps(mode), "verify: {image: a}"]
    clean = run(case, steps, [])
    assert clean.status == 0, clean.messages
    assert clean.held == case.after(mode)
    for _ in range(FAULTS_A_CASE):
        text = fault(data, (*SHOWN, *SILENT, *UNCERTAIN), clean)
        done = run(case, steps, [text])
        assert done.status == 0, (text, done.messages)
        assert covered(case, done.held) == covered(case, case.after(mode)), text
        if not text.startswith(("lost-erase:skip", "mix")) or "mass-erase" not in mode:
            assert done.held == case.after(mode), text


@some
@given(case=cases(), mode=modes, data=st.data())
def test_without_a_verify_no_fault_that_shows_leaves_anything_else(case: Case, mode: str, data: st.DataObject) -> None:
    clean = run(case, case.steps(mode), [])
    assert clean.status == 0, clean.messages
    assert clean.held == case.after(mode)
    for _ in range(FAULTS_A_CASE):
        text = fault(data, (*SHOWN, *SILENT, *SILENT) if mode.endswith("changed") else SHOWN, clean)
        done = run(case, case.steps(mode), [text])
        assert done.status == 0, (text, done.messages)
        assert done.held == case.after(mode), text


@some
@given(case=cases(), mode=modes, data=st.data())
def test_with_several_faults_a_run_that_passes_leaves_the_image(case: Case, mode: str, data: st.DataObject) -> None:
    steps = [*case.steps(mode), "verify: {image: a}"]
    clean = run(case, steps, [])
    texts = [fault(data, (*SHOWN, *SILENT, *UNCERTAIN), clean) for _ in range(FAULTS_A_CASE)]
    done = run(case, steps, texts)
    event(f"exit {done.status}")
    if done.status == 0:
        assert covered(case, done.held) == covered(case, case.after(mode)), done.messages


def covered(case: Case, held: bytes) -> list[bytes]:
    """Return what the flash holds where the image goes."""
    start = case.chip.flash.extent.start
    return [held[piece.address - start :][: len(piece.data)] for piece in case.image.pieces]
