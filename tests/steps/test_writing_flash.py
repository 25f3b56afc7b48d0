"""Writing: whatever the image and whatever the flash held, the image is there afterwards and its neighbours are too."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from bench import run_on
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from intelhex import IntelHex

from dfurun.chips import load_chip
from dfurun.clock import VirtualClock
from dfurun.image import MemoryImage, Piece
from dfurun.simulator import Fault, SimulatedBoard, parse_fault
from dfurun.simulator.fault import Moment
from dfurun.simulator.operation import Action, Operation
from dfurun.simulator.transfer import NoAnswer
from dfurun.steps.flashing import aligned

CHIP = load_chip("stm32f072xb")
FLASH = CHIP.flash.extent
PAGE = CHIP.flash.page(0).size_bytes
PAGES_IN_PLAY = 5

few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def images(draw: st.DrawFn) -> MemoryImage:
    """One to three pieces in the first pages, the first one at a multiple of four."""
    pieces, address = [], FLASH.start + 4 * draw(st.integers(0, PAGE // 4))
    for _ in range(draw(st.integers(1, 3))):
        size = draw(st.integers(1, 2 * PAGE))
        size = min(size, FLASH.start + PAGES_IN_PLAY * PAGE - address)
        if size <= 0:
            break
        seed = draw(st.binary(min_size=1, max_size=8))
        data = bytearray((seed * (size // len(seed) + 1))[:size])
        blank = slice(draw(st.integers(0, size)), draw(st.integers(0, size)))
        data[blank] = b"\xff" * len(data[blank])
        pieces.append(Piece(address, bytes(data)))
        address += size + draw(st.integers(1, PAGE))
    return MemoryImage.of(pieces)


def write_recipe(folder: Path, image: MemoryImage, *steps: str) -> Path:
    hex_file = IntelHex()
    for piece in image.pieces:
        hex_file.puts(piece.address, piece.data)
    hex_file.write_hex_file(str(folder / "image.hex"))
    digest = hashlib.sha256((folder / "image.hex").read_bytes()).hexdigest()
    lines = ["dfurun: 1", "name: writing", "chip: stm32f072xb", "images:", "  image:", "    file: image.hex"]
    lines += [f'    sha256: "{digest}"', "steps:", "  - connect", *(f"  - {step}" for step in steps)]
    (folder / "recipe.yaml").write_text("\n".join(lines) + "\n")
    return folder / "recipe.yaml"


def board_with(contents: bytes, *faults: str) -> SimulatedBoard:
    return SimulatedBoard(
        CHIP, VirtualClock(), flash=contents, faults=[parse_fault(fault) for fault in faults], trace_length=100_000
    )


@few
@given(image=images(), filler=st.binary(min_size=1, max_size=16))
def test_changed_writes_the_image_and_keeps_every_other_byte(tmp_path: Path, image: MemoryImage, filler: bytes) -> None:
    before = (filler * FLASH.size_bytes)[: FLASH.size_bytes]
    board = board_with(before)
    recipe = write_recipe(tmp_path, image, "write: {image: image, mode: changed}", "verify: {image: image}")
    finished, messages = run_on(board, recipe, tmp_path)
    assert finished.exit_status == 0, messages
    assert bytes(board.flash.contents) == image.overlay(FLASH, before)


@few
@given(image=images())
def test_all_writes_the_image_into_erased_flash(tmp_path: Path, image: MemoryImage) -> None:
    board = board_with(b"\x5a" * FLASH.size_bytes)
    recipe = write_recipe(tmp_path, image, "erase: {image: image}", "write: {image: image}", "verify: {image: image}")
    finished, messages = run_on(board, recipe, tmp_path)
    assert finished.exit_status == 0, messages
    touched = {page for piece in image.pieces for page in CHIP.flash.pages_of(piece.extent)}
    erased = b"".join((b"\xff" if page in touched else b"\x5a") * PAGE for page in range(CHIP.flash.page_count))
    assert bytes(board.flash.contents) == image.overlay(FLASH, erased)


@few
@given(image=images(), fault=st.sampled_from(["stall", "timeout", "lost-reply", "io-error"]), skip=st.integers(0, 120))
def test_a_fault_anywhere_changes_neither_the_image_nor_its_neighbours(
    tmp_path: Path, image: MemoryImage, fault: str, skip: int
) -> None:
    before = b"\x21\x43" * (FLASH.size_bytes // 2)
    board = board_with(before, f"{fault}:skip={skip}")
    recipe = write_recipe(tmp_path, image, "write: {image: image, mode: changed}", "verify: {image: image}")
    finished, messages = run_on(board, recipe, tmp_path)
    assert finished.exit_status == 0, messages
    assert bytes(board.flash.contents) == image.overlay(FLASH, before)


MODES = {
    "mass-erase": ("mass-erase", "write: {image: image}"),
    "erase": ("erase: {image: image}", "write: {image: image}"),
    "erase needed": ("erase: {image: image, mode: needed}", "write: {image: image}"),
    "changed": ("write: {image: image, mode: changed}",),
}


@few
@given(
    image=images(),
    mode=st.sampled_from(sorted(MODES)),
    fault=st.sampled_from(
        ["stall", "lost-reply", "lost-program", "flip-program", "lost-erase", "missed-service:p=0.7,count=always"]
    ),
    skip=st.integers(0, 60),
    before=st.sampled_from([b"\xff", b"\x5a", b"\xff" * PAGE + bytes(PAGE)]),
)
def test_whatever_the_mode_and_the_fault_the_flash_holds_the_image(
    tmp_path: Path, image: MemoryImage, mode: str, fault: str, skip: int, before: bytes
) -> None:
    """Blocks that are blank after an erase are not sent."""
    old = (before * FLASH.size_bytes)[: FLASH.size_bytes]
    board = board_with(old, f"{fault}{',' if ':' in fault else ':'}skip={skip}")
    finished, messages = run_on(board, write_recipe(tmp_path, image, *MODES[mode], "verify: {image: image}"), tmp_path)
    assert finished.exit_status == 0, messages
    held = bytes(board.flash.contents)
    assert all(held[p.address - FLASH.start :][: len(p.data)] == p.data for p in image.pieces)
    if mode == "changed":
        assert held == image.overlay(FLASH, old)


def test_changed_does_nothing_where_nothing_differs(tmp_path: Path) -> None:
    image = MemoryImage.of([Piece(FLASH.start, b"\x00\x40\x00\x20" + bytes(range(200)) * 20)])
    board = board_with(image.overlay(FLASH, b"\xff" * FLASH.size_bytes))
    recipe = write_recipe(tmp_path, image, "write: {image: image, mode: changed}", "verify: {image: image}")
    finished, messages = run_on(board, recipe, tmp_path)
    assert finished.exit_status == 0
    assert "write ok: image: all 4004 bytes are there already" in messages
    assert sum(board.flash.erase_counts) == 0
    assert board.flash.programmed_units == 0


def test_changed_erases_the_vector_table_first_and_writes_it_last(tmp_path: Path) -> None:
    """One page in the middle differs: the first page, though equal, is erased before it and written after it."""
    image = MemoryImage.of([Piece(FLASH.start, b"\x00\x40\x00\x20" + bytes(range(200)) * 30)])
    old = bytearray(image.overlay(FLASH, b"\xff" * FLASH.size_bytes))
    old[PAGE + 7] ^= 0x10
    board = board_with(bytes(old))
    recipe = write_recipe(tmp_path, image, "write: {image: image, mode: changed}", "verify: {image: image}")
    finished, messages = run_on(board, recipe, tmp_path)
    assert finished.exit_status == 0, messages
    commands = [entry.data for entry in board.trace if entry.setup.name == "DNLOAD" and entry.setup.value == 0]
    erased = [int.from_bytes(data[1:], "little") for data in commands if data[0] == 0x41]
    assert erased == [FLASH.start, FLASH.start + PAGE]
    blocks = [
        entry.data for entry in board.trace if entry.setup.name == "DNLOAD" and entry.setup.value >= 2 and entry.data
    ]
    assert [block[:4] == b"\x00\x40\x00\x20" for block in blocks] == [False, True]
    assert bytes(board.flash.contents) == image.overlay(FLASH, b"\xff" * FLASH.size_bytes)


def test_erase_needed_leaves_blank_pages_alone(tmp_path: Path) -> None:
    image = MemoryImage.of([Piece(FLASH.start, bytes(3 * PAGE))])
    board = board_with(b"\xff" * PAGE + b"\x00" * PAGE + b"\xff" * (FLASH.size_bytes - 2 * PAGE))
    recipe = write_recipe(
        tmp_path, image, "erase: {image: image, mode: needed}", "write: {image: image}", "verify: {image: image}"
    )
    finished, messages = run_on(board, recipe, tmp_path)
    assert finished.exit_status == 0, messages
    assert "erase changed: 1 page erased" in messages
    assert list(board.flash.erase_counts[:4]) == [0, 1, 0, 0]


def test_two_images_may_share_a_page(tmp_path: Path) -> None:
    """The second one's redo must not erase the first one's bytes."""
    first = MemoryImage.of([Piece(FLASH.start, b"\x00\x40\x00\x20" * 100)])
    recipe = write_recipe(tmp_path, first, "mass-erase", "write: {image: image}", "verify: {image: image}")
    settings_bin = b"settings" * 8
    (tmp_path / "settings.bin").write_bytes(settings_bin)
    text = recipe.read_text().replace(
        "steps:",
        "  settings:\n    file: settings.bin\n    address: 0x08000600\n    sha256: "
        f'"{hashlib.sha256(settings_bin).hexdigest()}"\nsteps:',
    )
    recipe.write_text(
        text + "  - write: {image: settings}\n  - verify: {image: settings}\n  - verify: {image: image}\n"
    )
    board = board_with(b"", "lost-program:skip=1")
    finished, messages = run_on(board, recipe, tmp_path)
    assert finished.exit_status == 0, messages
    assert finished.pages_redone == 1
    both = MemoryImage.of([*first.pieces, Piece(0x08000600, settings_bin)])
    assert bytes(board.flash.contents) == both.overlay(FLASH, b"\xff" * FLASH.size_bytes)


@given(image=images())
def test_alignment_pads_with_the_erased_value_and_touches_nothing_else(image: MemoryImage) -> None:
    pieces = aligned(CHIP.flash, image)
    unit = CHIP.flash.write_alignment_bytes
    assert all(piece.address % unit == 0 and len(piece.data) % unit == 0 for piece in pieces)
    blank = b"\xff" * FLASH.size_bytes
    assert MemoryImage.of(pieces).overlay(FLASH, blank) == image.overlay(FLASH, blank)


@pytest.mark.parametrize("steps", [("mass-erase", "write: {image: image}"), ("write: {image: image, mode: changed}",)])
def test_without_verify_the_result_says_so(tmp_path: Path, steps: tuple[str, ...]) -> None:
    image = MemoryImage.of([Piece(FLASH.start, bytes(100))])
    finished, _ = run_on(board_with(b""), write_recipe(tmp_path, image, *steps), tmp_path)
    assert (finished.exit_status, finished.verified) == (0, False)


class CorruptSecondBlock(Fault):
    """One bit of the second whole block that is uploaded arrives wrong: `changed` has read the first one."""

    def __init__(self) -> None:
        self.seen = 0

    def after(self, moment: Moment, answer: bytes) -> bytes:
        if moment.setup.name != "UPLOAD" or moment.setup.length != PAGE:
            return answer
        self.seen += 1
        return bytes([answer[0] ^ 1]) + answer[1:] if self.seen == 2 else answer


class LoseBlockAndStatus(Fault):
    """The first block of data is acknowledged and not programmed, and the GETSTATUS that executed it is not answered."""

    def __init__(self) -> None:
        self.armed = self.done = self.lost = False

    def loses(self, operation: Operation) -> bool:
        was_lost, self.lost = self.lost, self.lost or operation.action is Action.PROGRAM
        return not was_lost and self.lost

    def after(self, moment: Moment, answer: bytes) -> bytes:
        if moment.setup.name == "DNLOAD" and moment.setup.value >= 2:
            self.armed = not self.done
        elif moment.setup.name == "GETSTATUS" and self.armed:
            self.armed, self.done = False, True
            raise NoAnswer
        return answer


def test_a_corrupt_read_in_verify_rewrites_nothing(tmp_path: Path) -> None:
    """What differs is read once more: an upload can be corrupt as well."""
    image = MemoryImage.of([Piece(FLASH.start, b"\x00\x40\x00\x20" + bytes(range(200)) * 20)])
    board = board_with(image.overlay(FLASH, b"\xff" * FLASH.size_bytes))
    fault = CorruptSecondBlock()
    board.afflict([fault])
    recipe = write_recipe(tmp_path, image, "write: {image: image, mode: changed}", "verify: {image: image}")
    finished, messages = run_on(board, recipe, tmp_path)
    assert fault.seen >= 3, "the corrupt block was read again"
    assert finished.exit_status == 0, messages
    assert (finished.pages_redone, sum(board.flash.erase_counts)) == (0, 0)


@pytest.mark.parametrize("mode", ["all", "changed"])
def test_a_doubtful_page_is_put_right_before_the_vector_table_is_written(tmp_path: Path, mode: str) -> None:
    """While another page may be wrong, the image must not boot; and the redo is journaled before it is sent."""
    image = MemoryImage.of([Piece(FLASH.start, b"\x00\x40\x00\x20" + bytes(range(200)) * 30)])
    board = board_with(b"\x00" * FLASH.size_bytes)
    board.afflict([LoseBlockAndStatus()])
    steps = ["erase: {image: image}", f"write: {{image: image, mode: {mode}}}", "verify: {image: image}"]
    finished, messages = run_on(board, write_recipe(tmp_path, image, *steps), tmp_path)
    assert finished.exit_status == 0, messages
    assert not any("writing again" in message for message in messages), "put right by the write, not by the verify"
    assert finished.pages_redone == 1
    blocks = [
        entry.data for entry in board.trace if entry.setup.name == "DNLOAD" and entry.setup.value >= 2 and entry.data
    ]
    assert blocks[-1][:4] == b"\x00\x40\x00\x20"
    assert bytes(board.flash.contents)[: 3 * PAGE] == image.overlay(FLASH, b"\xff" * FLASH.size_bytes)[: 3 * PAGE]
    journal = (tmp_path / "journals" / "1-1.jsonl").read_text()
    assert '"entry": "rewrite", "pages": [1]' in journal
