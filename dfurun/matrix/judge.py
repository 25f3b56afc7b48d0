"""The invariants: what no fault may bring dfurun to do. Judged on the board's own memories, not on what the client says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise, product

from dfurun.chips import Flash, OptionLayout
from dfurun.errors import Code, ExitStatus
from dfurun.matrix.intended import Contents, intended, stages, starts_rom
from dfurun.matrix.kinds import Kind, Occasion
from dfurun.matrix.trial import Run
from dfurun.matrix.witness import Executed
from dfurun.recipe.recipe import Recipe
from dfurun.simulator.operation import Action
from dfurun.steps.erase import Erase
from dfurun.steps.flashing import pages_of
from dfurun.steps.leave_dfu import LeaveDfu
from dfurun.steps.mass_erase import MassErase
from dfurun.steps.projected import OPEN_LEVEL
from dfurun.steps.read import Read
from dfurun.steps.set_option_bytes import PERMANENT_LEVEL, SetOptionBytes
from dfurun.steps.unprotect import Unprotect
from dfurun.steps.verify import Verify
from dfurun.steps.wait_for_power_cycle import WaitForPowerCycle
from dfurun.steps.write import Write
from dfurun.units import AddressRange, format_address

_OF_PROTECTION = (Code.PROTECTED, Code.STILL_PROTECTED)
_DESTROY = (Action.READ_UNPROTECT, Action.ERASE_ALL, Action.ERASE_PAGE, Action.PROGRAM, Action.WRITE_OPTION_BYTES)
_OF_FLASH = (Action.ERASE_ALL, Action.ERASE_PAGE, Action.PROGRAM)
_VECTORS_BYTES = 8  # the initial stack pointer and the reset vector

NO_FAULT = Kind("no fault", "", Occasion.RUN, fits=frozenset({ExitStatus.DONE}))
"""What a run without any fault is held against."""


class Invariant(StrEnum):
    """What must hold of every run."""

    ENDS = "every run ends"
    NO_TRACEBACK = "no run ends in a traceback"
    TRUE_SUCCESS = "success is reported only of a board that is right"
    JUSTIFIED = "nothing is erased, written or unprotected but what the recipe says and the board justifies"
    NEVER_LOCKED = "no board is locked, and no option byte holds what nobody meant"
    NEVER_HALF = "a backup is whole, or not there"
    NEVER_BOOTS_HALF = "a half-written image does not boot"
    JOURNALLED = "what is destroyed is in the journal before"
    HONEST = "exit status and message fit what happened"
    CONVERGES = "after a power cycle a second run puts the board right"
    ONE_RUN = "what a client can survive is survived in one run"


@dataclass(frozen=True, slots=True)
class Breach:
    """An invariant that did not hold, and how."""

    invariant: Invariant
    words: str


def breaches(run: Run, recipe: Recipe, kind: Kind, *, whole: Contents | None = None) -> Iterator[Breach]:
    """Yield what does not hold of one run. What comes of a second one is for the caller to judge.

    `whole` is what else the board may hold in the end: a second run puts back what the first one took out of a page and lost.
    """
    if run.overrun:
        yield Breach(Invariant.ENDS, run.overrun)
    if run.crash:
        yield Breach(Invariant.NO_TRACEBACK, run.crash.strip().splitlines()[-1])
    if (
        run.passed
        and (wrong := what_is_wrong(run, recipe, whole))
        and not (kind.tears and _cannot_be_read(run, recipe))
    ):
        yield Breach(Invariant.TRUE_SUCCESS, f"exit 0, and {wrong}")
    for done in run.seen.operations:
        if why := _not_justified(done, recipe):
            yield Breach(Invariant.JUSTIFIED, why)
        keyword = recipe.steps[done.step].keyword
        if done.needless and kind.name == NO_FAULT.name:
            yield Breach(Invariant.JUSTIFIED, f"{done.action.value} changed nothing, in {keyword}")
        if done.action in _DESTROY and not done.announced:
            yield Breach(
                Invariant.JOURNALLED, f"{done.action.value} was executed in {keyword}, and the journal has it not"
            )
        if done.action in _DESTROY and done.elsewhere and not run.passed:
            yield Breach(Invariant.JUSTIFIED, f"{done.action.value} was executed on another board, in {keyword}")
    if not run.passed and (half := _boots_half(run, recipe)):
        yield Breach(Invariant.NEVER_BOOTS_HALF, half)
    yield from _locks(run, recipe, kind)
    if not run.passed and (torn := _torn_backup(run, recipe)):
        yield Breach(Invariant.NEVER_HALF, torn)
    if why := _dishonest(run, kind):
        yield Breach(Invariant.HONEST, why)


def what_is_wrong(run: Run, recipe: Recipe, whole: Contents | None) -> str:
    """Say what of the board, or of the files, is not as the recipe means it; empty where all is."""
    meant, layout = intended(recipe, run.before), recipe.chip.option_bytes
    if run.after.flash != meant.flash and not (whole and run.after.flash == whole.flash):
        differs = next(i for i, (a, b) in enumerate(zip(run.after.flash, meant.flash, strict=True)) if a != b)
        return f"the flash is wrong from {format_address(recipe.chip.flash.extent.start + differs)} on"
    if layout.decode(run.after.option_bytes) != layout.decode(meant.option_bytes):
        return f"the option bytes are {run.after.option_bytes.hex()}, not {meant.option_bytes.hex()}"
    last = recipe.steps[-1]
    if isinstance(last, LeaveDfu) and run.in_dfu:
        return "the board is on the bus in DFU mode, not in its application"
    # A board that vanishes while it is told to leave has perhaps started nothing: the bus shows no difference.
    if isinstance(last, LeaveDfu) and run.started not in (last.entry, recipe.chip.system_memory.start):
        return f"what was started is not what is at {format_address(last.entry)}"
    if run.kept:
        return "a copy of a page is kept that is back in the flash"
    for step in recipe.steps:
        if isinstance(step, WaitForPowerCycle) and (step.head.index, step.boot0) not in run.cycled:
            return f"nobody power-cycled the board in {step.keyword}"
        if isinstance(step, Read) and not any(_is_backup(data, step, recipe, run) for data in _saved_by(step, run)):
            return f"no file holds what {step.extent} held"
    return ""


def _cannot_be_read(run: Run, recipe: Recipe) -> bool:
    """Say whether a power cut has left option bytes erased where level 1 was to be set, and all else is right.

    Both protect, both refuse to be read, and in either case the board leaves the bus and comes back.
    """
    meant, layout = intended(recipe, run.before), recipe.chip.option_bytes
    locked = layout.decode(meant.option_bytes).get("RDP", OPEN_LEVEL) != OPEN_LEVEL and run.after.protected
    return locked and run.after.option_bytes == b"\xff" * layout.size_bytes and run.after.flash == meant.flash


def _is_backup(data: bytes, step: Read, recipe: Recipe, run: Run) -> bool:
    """Say whether a file's bytes are what a `read` step is to save; of a memory that is not modelled, only how many."""
    chip, extent = recipe.chip, step.extent
    then = list(stages(recipe, run.before))[step.head.index]
    if extent in chip.option_bytes.blocks:
        return data == chip.option_bytes.part(then.option_bytes, extent)
    if chip.flash.extent.contains(extent):
        start = extent.start - chip.flash.extent.start
        return data == then.flash[start : start + extent.size_bytes]
    return len(data) == extent.size_bytes


def _saved_by(step: Read, run: Run) -> list[bytes]:
    """Return the files that can be a step's: the one of its name, any where the name is made as the run goes on."""
    if "$" in step.file:
        return list(run.saved.values())
    return [run.saved[step.file]] if step.file in run.saved else []


def _boots_half(run: Run, recipe: Recipe) -> str:
    """Say which image boots that is not whole: its vector table came into the flash, and pages beside that one are not its own.

    A power cut within the page of the vector table is not meant: that one is written from its beginning.
    """
    flash = recipe.chip.flash
    for step in recipe.steps[: run.reached + 1]:
        if not isinstance(step, Write):
            continue
        memory = step.image.memory
        first = memory.pieces[0]
        vectors, at = first.data[:_VECTORS_BYTES], first.address - flash.extent.start
        place = slice(at, at + len(vectors))
        if run.before.flash[place] == vectors or run.after.flash[place] != vectors:
            continue
        for page in pages_of(flash, memory):
            extent = flash.page(page)
            start = extent.start - flash.extent.start
            found = run.after.flash[start : start + extent.size_bytes]
            if not extent.contains(AddressRange(first.address, 1)) and found != memory.overlay(extent, found):
                return f"{step.image.name} is in the flash in part, and its vector table is"
    return ""


def _torn_backup(run: Run, recipe: Recipe) -> str:
    """Say which file of a run that did not pass is no backup; empty where each is one."""
    reads = [step for step in recipe.steps if isinstance(step, Read)]
    right = {id(data) for step in reads for data in _saved_by(step, run) if _is_backup(data, step, recipe, run)}
    wrong = [data for data in run.saved.values() if id(data) not in right]
    return f"a file of {len(wrong[0])} bytes holds what no `read` was to save" if wrong else ""


def _not_justified(done: Executed, recipe: Recipe) -> str:
    """Say why this may not have been executed; empty where it may."""
    step, flash = recipe.steps[done.step], recipe.chip.flash
    where = format_address(done.address)
    if done.action in _OF_FLASH and done.unit_bytes > recipe.programs_bytes_at_once:
        return f"{done.action.value} with {done.unit_bytes} bytes at once in {step.keyword}, which the supply does not allow"
    match done.action:
        case Action.READ_UNPROTECT if not isinstance(step, Unprotect):
            return f"Read Unprotect was executed in {step.keyword}"
        case Action.READ_UNPROTECT if not done.protected:
            return "Read Unprotect was executed on a board that is not protected"
        case Action.ERASE_ALL if not isinstance(step, MassErase):
            return f"a mass erase was executed in {step.keyword}"
        case Action.ERASE_PAGE if flash.page_index(done.address) not in _may_erase(done.step, recipe, flash):
            return f"the {flash.unit} at {where} was erased in {step.keyword}"
        case Action.PROGRAM if not _may_write(done.step, recipe, flash).issuperset(
            flash.pages_of(AddressRange(done.address, done.size_bytes))
        ):
            return f"{where} was programmed in {step.keyword}"
        case Action.WRITE_OPTION_BYTES if not isinstance(step, SetOptionBytes):
            return f"option bytes were written in {step.keyword}"
        case Action.WRITE_DEVICE_FEATURE if recipe.width is None or done.first_byte != recipe.width.code:
            return f"a programming width was chosen in {step.keyword} that the supply of the recipe does not allow"
        case Action.WRITE_RAM | Action.WRITE_OTP:
            return f"{where} was written in {step.keyword}"
    return ""


def _may_erase(index: int, recipe: Recipe, flash: Flash) -> frozenset[int]:
    """Return the pages that the step at `index` may erase."""
    match recipe.steps[index]:
        case MassErase():
            return frozenset(range(flash.page_count))
        case Erase(pages=pages):
            return frozenset(pages)
    return _may_write(index, recipe, flash)


def _may_write(index: int, recipe: Recipe, flash: Flash) -> frozenset[int]:
    """Return the pages that the step at `index` may program; a verify has those of its image's write redone."""
    match recipe.steps[index]:
        case Write(image=image):
            return frozenset(pages_of(flash, image.memory))
        case Verify(image=image) if any(
            isinstance(earlier, Write) and earlier.image.name == image.name for earlier in recipe.steps[:index]
        ):
            return frozenset(pages_of(flash, image.memory))
    return frozenset()


def _locks(run: Run, recipe: Recipe, kind: Kind) -> Iterator[Breach]:
    """Yield how the board is locked, or its option bytes other than a step means that was begun."""
    chip, layout = recipe.chip, recipe.chip.option_bytes
    stored, so_far = run.after.option_bytes, list(stages(recipe, run.before))[: run.reached + 2]
    meant = [layout.decode(raw) for raw in _between(layout, [stage.option_bytes for stage in so_far])]
    if (
        not starts_rom(chip, run.after)
        and starts_rom(chip, run.before)
        and not (kind.tears and _cut_short(run, recipe))
    ):
        yield Breach(Invariant.NEVER_LOCKED, f"no level of BOOT0 starts the bootloader, option bytes {stored.hex()}")
    if layout.decode(stored).get("RDP") == PERMANENT_LEVEL:
        yield Breach(Invariant.NEVER_LOCKED, "read protection is at level 2, for ever")
    if not (kind.tears or run.swapped) and layout.decode(stored) not in meant:
        yield Breach(Invariant.NEVER_LOCKED, f"the option bytes are {stored.hex()}, which no step of the recipe means")


def _cut_short(run: Run, recipe: Recipe) -> bool:
    """Say whether the power went within a write of option bytes that the recipe means, on a chip that is lost then."""
    last = run.seen.operations[-1] if run.seen.operations else None
    writes = (Action.WRITE_OPTION_BYTES, Action.READ_UNPROTECT)
    return recipe.chip.lost_with_torn_options and last is not None and last.action in writes


def only_seems_torn(run: Run, recipe: Recipe) -> bool:
    """Say whether a board is lost to the run while its option bytes protect it: whether they are torn then cannot be told."""
    step = recipe.steps[run.reached]
    protects = isinstance(step, SetOptionBytes) and step.fields.get("RDP", OPEN_LEVEL) != OPEN_LEVEL
    return protects and run.after.protected and run.finished is not None and run.finished.code is Code.NOT_BACK


def _between(layout: OptionLayout, stages_of_bytes: Sequence[bytes]) -> Iterator[bytes]:
    """Yield the option bytes of all stages, and what lies between two where there are several blocks, written one by one."""
    yield stages_of_bytes[0]
    for pair in pairwise(stages_of_bytes):
        for chosen in product(pair, repeat=len(layout.blocks)):
            yield b"".join(layout.part(raw, block) for raw, block in zip(chosen, layout.blocks, strict=True))


def _dishonest(run: Run, kind: Kind) -> str:
    """Say what of the exit status or the message is not true; empty where all is."""
    finished = run.finished
    if finished is None:
        return ""
    status = ExitStatus(finished.exit_status)
    told = f"exit {status}, {finished.message!r}"
    protected = run.before.protected or run.after.protected
    if finished.code in _OF_PROTECTION:
        return "" if protected else f"{told} of a board that is not protected"
    if finished.code is Code.KEPT_PAGE and kind.tears:
        return ""
    if status not in kind.fits:
        return f"{told} does not fit {kind.name}"
    if status is not ExitStatus.DONE and not (finished.code and finished.message and finished.consequence):
        return f"{told} does not say what it means for the board"
    if finished.consequence.startswith("nothing") and run.before != run.after:
        return f"{told} says {finished.consequence!r}, and the board has changed"
    return ""
