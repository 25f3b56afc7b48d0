"""`dfurun new`: a commented recipe that passes `check` and `lint`, for a chip and an image, or like an attached board."""

from __future__ import annotations

import os
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dfurun.cli import completion
from dfurun.cli.board_options import BoardOptions, survey_options
from dfurun.cli.failures import UsageFailure
from dfurun.cli.options import (
    BOARD,
    Json,
    Port,
    Serial,
    Sim,
    SimChip,
    SimState,
    SimToken,
)
from dfurun.cli.output import Output
from dfurun.errors import Code, ExitStatus, Finding, InvalidInput, Refused, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dfurun.chips import Chip, FieldValue
    from dfurun.cli.info import Report
    from dfurun.image import ImageFile
    from dfurun.recipe.template import Draft

UNNAMED = Path("recipe.yaml")  # where a recipe that goes to standard output would stand
SCHEMA = "recipe.schema.json"


def new_command(
    context: typer.Context,
    image: Annotated[
        Path | None,
        typer.Option(
            "--image",
            metavar="FILE",
            help="The firmware to flash.",
            autocompletion=completion.files,
            show_default=False,
        ),
    ] = None,
    chip: Annotated[
        str | None,
        typer.Option(
            "--chip", metavar="CHIP", help="The board's chip, or its part number.", autocompletion=completion.chips
        ),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            "--address", metavar="ADDRESS", help="Where a raw binary goes; the start of the flash if not given."
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="What people call the recipe; of chip and image if not given."),
    ] = None,
    target: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="The recipe to write; standard output if not given."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    allow_outside: Annotated[
        bool, typer.Option("--allow-outside", help="Let the image lie outside the recipe's repository.")
    ] = False,
    from_device: Annotated[
        bool,
        typer.Option("--from-device", help="Begin with what an attached board tells of itself.", rich_help_panel=BOARD),
    ] = False,
    port: Port = None,
    serial: Serial = None,
    sim: Sim = False,
    sim_chip: SimChip = None,
    sim_state: SimState = None,
    sim_token: SimToken = None,
    json: Json = False,
) -> int:
    """Write a commented recipe for a chip and an image, or like an attached board; it passes check and lint."""
    from dfurun.cli.bench import chip_called

    output: Output = context.obj
    if image is None:
        raise UsageFailure("a recipe needs the firmware that it flashes", "--image FILE")
    boards = survey_options(sim=sim, sim_chip=sim_chip, sim_state=sim_state, sim_fault=None, sim_token=sim_token)
    boards = replace(boards, port=port, serial=serial)
    if target is not None and not target.parent.is_dir():
        raise UsageFailure(f"there is no folder {target.parent.as_posix()}", "make it, or give another --output")
    named = chip_called(chip) if chip else None
    report = _look(output, boards, named) if from_device else None
    if report is None and (boards.simulated or port or serial or sim_chip or sim_token):
        raise UsageFailure("a board is named, and --from-device is not given", "--from-device looks at it")
    meant = report.chip if report else named
    if meant is None:
        raise UsageFailure("a recipe needs a chip", "--chip NAME, or --from-device with a board attached")
    text = _text(output, meant, image, address, name, target or UNNAMED, report)
    _judge(output, text, target or UNNAMED, allow_outside=allow_outside)
    _put(output, text, target, meant, overwrite=force)
    return ExitStatus.DONE


def _look(output: Output, options: BoardOptions, chip: Chip | None) -> Report:
    from dfurun.cli.bench import set_up
    from dfurun.cli.info import look

    report = look(set_up(options, chip, on_made=output.made), chip, "--chip" if chip else None)
    report.protection.require_verdict()
    report.require_one_chip()
    if report.description.is_user_dfu:
        hint = "hold BOOT0 high and power-cycle the board to reach the ROM, or name the chip with --chip"
        raise UsageFailure(
            f"the board at {report.port} is a DFU program in user flash, not the bootloader in ROM", hint
        )
    return report


def _text(
    output: Output, chip: Chip, file: Path, address: str | None, name: str | None, target: Path, report: Report | None
) -> str:
    """Return the recipe's text; raise UsageFailure for an address, InvalidInput for an image that cannot be used."""
    from dfurun.recipe.first_fields import starting_fields
    from dfurun.recipe.template import Draft, recipe_text
    from dfurun.units import format_brief_size, parse_address

    try:
        wanted = None if address is None else parse_address(address)
    except ValueError as error:
        raise UsageFailure(f"--address: {error}", "for example --address 0x08000000") from None
    read, at = _image(output, chip, file, wanted)
    expect = {"flash-size": format_brief_size(chip.flash.extent.size_bytes)}
    draft = Draft(
        name=name or f"{chip.title} {file.stem}",
        chip=chip,
        schema=_schema_for(target),
        file=_relative(file, target),
        sha256=read.sha256,
        address=at,
        expect=expect if chip.identity.flash_size_address is not None else {},
        fields=starting_fields(chip),
    )
    return recipe_text(draft if report is None else _like_the_board(draft, report))


def _image(output: Output, chip: Chip, file: Path, address: int | None) -> tuple[ImageFile, int | None]:
    """Return the image and the address that its recipe has to give, which for a raw binary is said where nobody named it."""
    from dfurun.image import ImageError, read_image
    from dfurun.recipe.template import IMAGE
    from dfurun.units import format_address

    try:
        return read_image(IMAGE, file, address=address), address
    except ImageError as error:
        if error.code is Code.IMAGE_ADDRESS and address is None:
            start = chip.flash.extent.start
            words = f"note: {file.name} brings no addresses: it goes to {format_address(start)}, the start of the flash"
            output.messages.print(f"{words} (--address names another)", soft_wrap=True)
            return read_image(IMAGE, file, address=start), start
        hint = "leave --address out" if error.code is Code.IMAGE_ADDRESS else error.hint
        findings = (Finding(error.code, error.message, hint=hint, notes=error.notes),)
        output.findings(findings)
        raise InvalidInput(findings) from None


def _like_the_board(draft: Draft, report: Report) -> Draft:
    """Return the draft with what the board tells: what to expect of its like, and its own option bytes."""
    from dfurun.chips.option_bytes import InForce
    from dfurun.dfuse.protection import Verdict
    from dfurun.recipe.first_fields import own_fields, starting_fields
    from dfurun.units import format_brief_size, format_hex

    chip, identity, raw = report.chip, report.identity, report.option_bytes
    expect = dict(draft.expect)
    if identity.flash_size_bytes is not None:
        expect["flash-size"] = format_brief_size(identity.flash_size_bytes)
    if identity.bootloader_id is not None:
        expect["bootloader-id"] = f"0x{identity.bootloader_id:02X}"
    told = f"Made from the board at {report.port}: {chip.title}"
    told += f", unique id {identity.unique_id}" if identity.unique_id else ""
    if raw is None or not chip.option_bytes.established:
        words = "It told no option bytes: the steps name none of its own."
        if report.protection.verdict is Verdict.PROTECTED:
            words = "It is read-protected and told no option bytes. `unprotect` opens boards like it, and erases them:"
            words += " take the `#` before it away."
        return replace(draft, expect=expect, notes=(f"{told}. {words}",))
    present = chip.option_bytes.decode(raw)
    start = starting_fields(chip, present)
    own, left = own_fields(chip, raw)
    notes = [f"{told}. Its option bytes were {format_hex(raw, group=2)}."]
    changed = [f"{name} {present[name]}" for name, value in start.items() if present[name] != value]
    if changed:
        notes.append(
            f"It had {', '.join(changed)}, with which BOOT0 low starts no application: the steps set that right."
        )
    if left:
        notes.append(f"It also had {', '.join(left)}, which the steps leave as they find it.")
    protecting = _write_protection(chip, own)
    if protecting:
        notes.append(
            "It was write-protected. The steps set that again, last: a board that has it already is refused before."
        )
    proven = protecting if chip.option_bytes.in_force_at is InForce.POWER_ON else {}
    return replace(draft, expect=expect, fields={**start, **own}, proven=proven, notes=tuple(notes))


def _write_protection(chip: Chip, own: Mapping[str, FieldValue]) -> dict[str, FieldValue]:
    """Return those of a board's own fields that write-protect pages of its flash."""
    layout = chip.option_bytes
    if layout.write_protection is None or not layout.write_protected(layout.encode(layout.factory, own), chip.flash):
        return {}
    return {name: value for name, value in own.items() if name in layout.write_protection.decided_by}


def _schema_for(target: Path) -> str:
    """Return the schema for the recipe's first line: that of its repository, where it has one, else one beside the recipe."""
    from dfurun.recipe import repository_of

    folder, repository = target.parent.resolve(), repository_of(target)
    for parent in (folder, *folder.parents):
        schema = parent / "schemas" / SCHEMA
        if schema.is_file():
            return _relative(schema, target)
        if parent == repository:
            break
    return SCHEMA


def _relative(file: Path, target: Path) -> str:
    """Return the path of a file as the recipe names it; raise UsageFailure where none leads there (another drive)."""
    try:
        return Path(os.path.relpath(file.absolute(), target.parent.absolute())).as_posix()
    except ValueError:
        raise UsageFailure(f"no path leads from {target} to {file}", "put both on the same drive") from None


def _judge(output: Output, text: str, target: Path, *, allow_outside: bool) -> None:
    """Check and lint the text before it stands anywhere: errors are told and raised, the rest is told."""
    from dfurun.lint import lint
    from dfurun.plan import compile_loaded
    from dfurun.recipe import load_text

    findings = lint(compile_loaded(load_text(target, text, sha256="", allow_outside=allow_outside))).findings
    output.findings(findings)
    if any(finding.severity is Severity.ERROR for finding in findings):
        raise InvalidInput(findings)


def _put(output: Output, text: str, target: Path | None, chip: Chip, *, overwrite: bool) -> None:
    from dfurun.steps.files import save

    output.write({"event": "recipe", "file": str(target) if target else None, "chip": chip.name, "text": text})
    if target is None:
        if not output.as_json:
            print(text, end="")
        return
    try:
        save(target, text.encode("utf-8"), overwrite=overwrite)
    except Refused as refusal:
        hint = "another name for --output, or --force, which writes over it"
        raise Refused(refusal.code, refusal.message, consequence=refusal.consequence, hint=hint) from None
    if output.as_json:
        return
    output.line(f"{target}: a recipe for {chip.title}; `dfurun {shlex.quote(str(target))} --sim` tries it")
    if f"$schema={SCHEMA}\n" in text:
        schema = target.parent / SCHEMA
        output.line(
            f"its first line names a schema for editors: `dfurun schema > {shlex.quote(schema.as_posix())}` makes it"
        )
