"""Rules about the run as a whole: the right board, the start of the application, timeouts, the names of backups."""

from __future__ import annotations

from collections.abc import Iterator

from dfurun.chips.chip import MassErase as MassEraseOf
from dfurun.errors import Code, Finding
from dfurun.lint.case import Case
from dfurun.steps.board import Presence
from dfurun.steps.erase import Erase
from dfurun.steps.flashing import aligned, pages_of
from dfurun.steps.mass_erase import MassErase
from dfurun.steps.read import Read
from dfurun.steps.set_option_bytes import SetOptionBytes
from dfurun.steps.step import Step
from dfurun.steps.unprotect import Unprotect
from dfurun.steps.wait_for_power_cycle import WaitForPowerCycle
from dfurun.steps.write import Write
from dfurun.units import format_brief_size, format_duration

TELLING_BOARDS_APART = ("port", "date", "time", "unique-id")


def no_expect(case: Case) -> Iterator[Finding]:
    """Find a step that erases all of whichever board is attached, on chips whose bootloader tells what could be expected."""
    expect, flash = case.recipe.expect, case.chip.flash
    if expect.flash_size_bytes is not None or expect.bootloader_id is not None or expect.unique_ids:
        return
    if case.chip.identity.flash_size_address is None:
        return
    step = next((m.step for m in case.moments if isinstance(m.step, MassErase | Unprotect)), None)
    if step is not None:
        size = format_brief_size(flash.extent.size_bytes)
        yield step.finding(
            Code.NO_EXPECT,
            f"{step.keyword} erases whichever board is attached: the recipe has no `expect`",
            hint=f"`expect: {{flash-size: {size}}}` refuses a chip of another size before anything is erased",
        )


def never_starts(case: Case) -> Iterator[Finding]:
    """Find a recipe that writes and then leaves the board in its bootloader."""
    last = case.moments[-1].step
    if case.end.written and case.end.presence is Presence.CONNECTED:
        yield last.finding(
            Code.NEVER_STARTS,
            f"the recipe ends with {last.keyword}, and the board stays in its bootloader: nobody sees the application start",
            hint="end with `leave-dfu`, or with `wait-for-power-cycle: {boot0: 0}`",
        )


def timeout_too_short(case: Case) -> Iterator[Finding]:
    """Find a timeout shorter than the datasheet lets the step's operations take: it would fail a sound board."""
    for moment in case.moments:
        step, timeout_s = moment.step, moment.step.head.timeout_s
        maximum_s = _maximum_s(case, step)
        if timeout_s is not None and maximum_s is not None and timeout_s < maximum_s:
            yield step.finding(
                Code.TIMEOUT_TOO_SHORT,
                f"the timeout is {format_duration(timeout_s)}, and {step.keyword} may take up to {format_duration(maximum_s)} "
                f"by the data of {case.chip.title}",
                "timeout",
                hint="leave `timeout` out: every operation has the chip's own limit anyway; or give it more",
            )


def _maximum_s(case: Case, step: Step) -> float | None:
    """Return what the operations of a step take at most, in seconds, without the time on the bus; None where none is known."""
    chip = case.chip
    flash, timing = chip.flash, case.recipe.timing
    match step:
        case MassErase() if chip.rom.mass_erase is MassEraseOf.WORKS:
            return timing.mass_erase.maximum_s
        case MassErase():
            return _erase_s(case, range(flash.page_count))
        case Erase(pages=pages, only_needed=False):
            return _erase_s(case, pages)
        case Write(image=image, only_changed=only_changed):
            block = chip.usb.transfer_size_bytes
            blocks = sum(-(-piece.extent.size_bytes // block) for piece in aligned(flash, image.memory))
            erase_s = _erase_s(case, pages_of(flash, image.memory)) if only_changed else 0.0
            return blocks * timing.program_block.maximum_s + erase_s
        case SetOptionBytes():
            return timing.option_bytes.maximum_s + chip.usb.connect_minimum_s
        case WaitForPowerCycle(boot0=1):
            return chip.usb.connect_minimum_s
        case _:
            return None


def _erase_s(case: Case, pages: range | tuple[int, ...] | list[int]) -> float:
    sizes = [case.chip.flash.page(page).size_bytes for page in pages]
    return sum(case.recipe.timing.page_erase[size].maximum_s for size in sizes)


def one_file_for_all(case: Case) -> Iterator[Finding]:
    """Find a `read` whose file has the same name for every board: the run of the second one ends there."""
    for moment in case.moments:
        step = moment.step
        if isinstance(step, Read) and not any(f"${{{name}}}" in step.file for name in TELLING_BOARDS_APART):
            yield step.finding(
                Code.ONE_FILE_FOR_ALL,
                f"every board is saved as `{step.file}`: the run of the second one ends here, as the file is there already",
                "file",
                hint='put `${unique-id}` or `${date}-${time}` into the name, and quote it: "backup-${unique-id}.bin"',
            )


RULES = (no_expect, never_starts, timeout_too_short, one_file_for_all)
