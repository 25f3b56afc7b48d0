"""`dfurun info`: what is attached, and what its option bytes mean. It changes nothing, and executes nothing pending."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from dfurun.chips import BootTarget, Chip
from dfurun.chips.page_geometry import moved_in_words
from dfurun.cli import completion
from dfurun.cli.bench import Bench, chip_called, set_up
from dfurun.cli.board_options import BoardOptions, SimClock, SimOperator
from dfurun.cli.failures import UsageFailure
from dfurun.cli.options import (
    OUTPUT,
    BoardChip,
    InfoSimToken,
    Json,
    Log,
    Port,
    Serial,
    Sim,
    SimChip,
    SimClockOption,
    SimFault,
    SimReload,
    SimState,
    Verbose,
    quiet_option,
)
from dfurun.cli.output import Output
from dfurun.dfuse.identity import BoardIdentity, read_identity
from dfurun.dfuse.link import DeviceDescription
from dfurun.dfuse.protection import Protection, Verdict
from dfurun.dfuse.session import Session
from dfurun.dfuse.token import BoardToken, digest_of
from dfurun.dfuse.trace import Trace
from dfurun.units import KIBI, AddressRange

LOOK_TIMEOUT_S = 1.0
WORD_BYTES = 4
REPAIR_HINT = "a recipe with `set-option-bytes: {from: factory}` puts the boot option bytes right"
PIN_IGNORED = "; once it is flashed, BOOT0 high does not start the bootloader with these option bytes"
MOVED_HINT = (
    "`mass-erase` and a `write` after it work; erase by pages, `mode: changed` and `write-protect` are refused until "
    "`set-option-bytes` sets it back"
)
REPAIR_BY_NAME_HINT = "a recipe with `set-option-bytes` that names the boot fields puts them right"


@dataclass(frozen=True, slots=True)
class Report:
    """All that is known of one board. `chips` are those that it can be: several where nothing that it tells decides.

    `named_by` is the option that says which, None where its memory layout does. `option_bytes` is None where they could not be
    read. `flash_empty`: the first word of flash is erased, and the chip starts its bootloader for that. `cause_of_protection`
    is None for a board that is not protected.
    """

    port: str
    chips: tuple[Chip, ...]
    named_by: str | None
    is_simulated: bool
    description: DeviceDescription
    identity: BoardIdentity
    commands: tuple[int, ...]
    protection: Protection
    option_bytes: bytes | None
    flash_empty: bool
    cause_of_protection: str | None
    anomalies: dict[str, int]

    @property
    def chip(self) -> Chip:
        """The chip, or of several the one that stands for what all have in common."""
        return self.chips[0]

    def require_one_chip(self) -> None:
        """Raise Refused for a board that can be several chips: a token names one."""
        from dfurun.usb.recognise import Likeness

        Likeness(self.chips, self.description.flash_layout_text).the_one()

    @property
    def fields_known(self) -> bool:
        """Whether it is known how its option bytes are called: all the chips that it can be call them alike."""
        return all(chip.option_bytes.fields == self.chip.option_bytes.fields for chip in self.chips)

    @property
    def moved_pages(self) -> str:
        """Which option bytes give its flash other pages than are known, in words; empty where none does."""
        if not self.option_bytes or not self.fields_known:
            return ""
        fields = self.chip.option_bytes.decode(self.option_bytes)
        moved = dict.fromkeys(field for chip in self.chips for field in chip.moved_pages(fields))
        return moved_in_words(moved, fields)

    @property
    def boots(self) -> dict[int, BootTarget]:
        """What starts at power-on for each level of BOOT0, empty where that is not known."""
        return self._starts(flash_empty=self.flash_empty)

    @property
    def always_boots_bootloader(self) -> bool:
        """Whether the option bytes start the bootloader whatever BOOT0 and the flash say."""
        return bool(self.option_bytes) and set(self._starts(flash_empty=False).values()) == {BootTarget.SYSTEM_MEMORY}

    @property
    def boots_for_empty_flash(self) -> frozenset[int]:
        """The levels of BOOT0 at which the bootloader starts only because the flash is empty."""
        once_flashed = self._starts(flash_empty=False)
        return frozenset(level for level, target in self.boots.items() if once_flashed[level] is not target)

    def _starts(self, *, flash_empty: bool) -> dict[int, BootTarget]:
        """Return what all the chips that it can be start with its option bytes; nothing where one starts another thing."""
        if self.option_bytes is None or not self.fields_known:
            return {}
        fields, starts = self.chip.option_bytes.decode(self.option_bytes), dict[int, BootTarget]()
        for level in (0, 1):
            targets = {chip.starts(fields, boot0=level, flash_empty=flash_empty) for chip in self.chips}
            if len(targets) > 1:
                return {}
            starts[level] = targets.pop()
        return starts


def info_command(
    context: typer.Context,
    named: Annotated[
        str | None,
        typer.Argument(
            metavar="CHIP",
            help="The board's chip, as --chip names it; with --sim, the chip of the simulated board.",
            show_default=False,
            autocompletion=completion.chips,
        ),
    ] = None,
    port: Port = None,
    serial: Serial = None,
    chip: BoardChip = None,
    json: Json = False,
    quiet: Annotated[
        bool, quiet_option("One line: the port, the chip, its protection. And what needs mending.")
    ] = False,
    token: Annotated[
        bool,
        typer.Option(
            "--token",
            help="One line for a bug report, which `dfurun explain` and --sim --token read.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    unique_id: Annotated[
        bool, typer.Option("--unique-id", help="With --token: put the unique id into it.", rich_help_panel=OUTPUT)
    ] = False,
    verbose: Verbose = 0,
    log: Log = None,
    sim: Sim = False,
    sim_chip: SimChip = None,
    sim_state: SimState = None,
    sim_clock: SimClockOption = SimClock.REAL,
    sim_fault: SimFault = None,
    sim_option_reload: SimReload = None,
    sim_token: InfoSimToken = None,
) -> int:
    """Tell what is attached: layout, option bytes by name, protection and its evidence, what boots."""
    output: Output = context.obj
    if unique_id and not token:
        raise UsageFailure("--unique-id without --token", "a token has it only where it is asked for; `info` shows it")
    states, faults, there = tuple(sim_state or ()), tuple(sim_fault or ()), SimOperator.PRESENT
    options = BoardOptions(port, serial, sim, sim_chip, states, sim_clock, faults, there, sim_option_reload, sim_token)
    output.watch(quiet=quiet, verbose=verbose, log=log)
    if named and chip:
        raise UsageFailure(f"`{named}` and --chip {chip} both name the chip", "one of them is enough")
    the_chip = chip_called(named or chip or "") if named or chip else None
    named_by = "the command" if named else "--chip" if chip else None
    report = look(set_up(options, the_chip, on_made=output.made), the_chip, named_by, output.trace)
    if token:
        report.require_one_chip()
    line = {"token": str(token_of(report, unique_id=unique_id))} if token else {}
    output.write({"event": "board", **as_object(report), **line})
    if token and not output.as_json:
        output.line(line["token"])
    elif not output.as_json:
        _print(output, report, quiet=quiet)
    report.protection.require_verdict()
    return 0


def look(bench: Bench, chip: Chip | None, named_by: str | None, trace: Trace | None = None) -> Report:
    """Open the board that the bench's selector means and learn all that it tells; `named_by` says who has named the chip.

    Raises DfurunError.
    """
    from dfurun.run.journal import known_cause
    from dfurun.usb.recognise import likeness, require_named_chip

    chips: tuple[Chip, ...] = (chip,) if chip else ()
    if not chips:
        bench.hold_selected()
        like = likeness(bench.bus, bench.selector, bench.clock, bench.told)
        chips, named_by = like.chips, "--sim-chip" if like.is_told else None
    chip = chips[0]
    connection = bench.connection(chip, trace)
    bench.keep_to_itself(connection)
    session = connection.open(LOOK_TIMEOUT_S)
    try:
        require_named_chip(chip, session.description, named_by or "--chip")
        commands = session.commands()
        protection = session.protection()
        identity, option_bytes, flash_empty = BoardIdentity(), None, False
        if protection.verdict is Verdict.UNPROTECTED and not session.description.is_user_dfu:
            identity = read_identity(session, chip)
            if all(other.option_bytes.blocks == chip.option_bytes.blocks for other in chips):
                option_bytes = session.read_option_bytes()
            flash_empty = chip.checks_for_empty_flash and _is_empty(session, chip)
        return Report(
            port=str(connection.port),
            chips=chips,
            named_by=named_by,
            is_simulated=bench.simulated,
            description=session.description,
            identity=identity,
            commands=commands,
            protection=protection,
            option_bytes=option_bytes,
            flash_empty=flash_empty,
            cause_of_protection=known_cause(bench.journal_name(str(connection.port)))
            if protection.verdict is Verdict.PROTECTED
            else None,
            anomalies=connection.anomalies.counts,
        )
    finally:
        connection.close()


def token_of(report: Report, *, unique_id: bool) -> BoardToken:
    """Return the token of a board. The unique id tells one board from all others, and is asked for or left out."""
    description, identity, usb = report.description, report.identity, report.chip.usb
    texts = (description.product, *(alternate.name for alternate in description.alternates))
    return BoardToken(
        chip=report.chip.name,
        vendor_id=description.vendor_id,
        product_id=description.product_id,
        release=description.release,
        transfer_size_bytes=description.functional.transfer_size_bytes,
        commands=bytes(report.commands),
        verdict=report.protection.verdict,
        texts_digest=digest_of(texts),
        flash_empty=report.flash_empty,
        user_dfu=description.is_user_dfu,
        bootloader_id=identity.bootloader_id,
        flash_size_kib=identity.flash_size_bytes // KIBI if identity.flash_size_bytes else None,
        option_bytes=report.option_bytes,
        unique_id=bytes.fromhex(identity.unique_id) if unique_id and identity.unique_id else None,
        texts=None if texts == (usb.product, *usb.alternates) else texts,
    )


def _is_empty(session: Session, chip: Chip) -> bool:
    """Say whether the chip's empty check finds the first word of main flash erased (RM0091 section 2.5)."""
    word = AddressRange(chip.flash.extent.start, WORD_BYTES)
    return session.read_stable(word) == bytes([chip.flash.erased]) * WORD_BYTES


def as_object(report: Report) -> dict[str, Any]:
    """Return the report as JSON values."""
    description, identity = report.description, report.identity
    raw = report.option_bytes
    return {
        "port": report.port,
        "chip": report.chip.name if len(report.chips) == 1 else None,
        "chips": [chip.name for chip in report.chips],
        "usb": {
            "vendor_id": description.vendor_id,
            "product_id": description.product_id,
            "release": description.release,
            "product": description.product,
            "serial": description.serial,
            "transfer_size": description.functional.transfer_size_bytes,
        },
        "layout": [alternate.name for alternate in description.alternates],
        "user_dfu": description.is_user_dfu,
        "bootloader_id": identity.bootloader_id,
        "bootloader": identity.bootloader_version(*report.chips),
        "unique_id": identity.unique_id,
        "flash_size": identity.flash_size_bytes,
        "commands": list(report.commands),
        "protection": {
            "verdict": report.protection.verdict.name.lower(),
            "cause": report.cause_of_protection,
            "evidence": report.protection.evidence,
        },
        "option_bytes": _options(report, raw) if raw else None,
        "boots": {f"boot0={level}": target.value for level, target in report.boots.items()},
        "flash_empty": report.flash_empty,
        "pages_as_known": not report.moved_pages if raw and report.fields_known else None,
        "always_boots_bootloader": report.always_boots_bootloader,
        "anomalies": report.anomalies,
    }


def _options(report: Report, raw: bytes) -> dict[str, Any]:
    chip = report.chip
    if not report.fields_known:
        return {"raw": raw.hex(), "fields": None, "write_protected_pages": None}
    groups = chip.option_bytes.protected_pages(raw, chip.flash)
    return {
        "raw": raw.hex(),
        "fields": chip.option_bytes.decode(raw),
        "write_protected_pages": None if report.moved_pages else [page for group in groups for page in group],
    }


def _print(output: Output, report: Report, *, quiet: bool) -> None:
    from dfurun.report.words import titles_of

    if quiet:
        output.line(f"{report.port}: {titles_of(report.chips)}, {report.protection.verdict.value}")
    else:
        _print_all(output, report)
    _print_what_needs_mending(output, report, quiet=quiet)


def _print_all(output: Output, report: Report) -> None:
    from dfurun.report.board import print_board

    print_board(
        output.product,
        port=report.port,
        chips=report.chips,
        named_by=report.named_by,
        is_simulated=report.is_simulated,
        description=report.description,
        identity=report.identity,
        commands=report.commands,
        protection=report.protection,
        cause_of_protection=report.cause_of_protection,
        option_bytes=report.option_bytes,
        fields_known=report.fields_known,
        boots=report.boots,
        boots_for_empty_flash=report.boots_for_empty_flash,
    )


def _print_what_needs_mending(output: Output, report: Report, *, quiet: bool) -> None:
    from dfurun.report.words import print_hint

    for is_so, words, hint in (
        (
            bool(report.boots_for_empty_flash),
            "the flash is empty: this chip starts its bootloader for that",
            f"flash it; the chip looks again at the next power-on{PIN_IGNORED if 1 in report.boots_for_empty_flash else ''}",
        ),
        (
            report.always_boots_bootloader,
            "this board always boots into the bootloader, whatever BOOT0 says",
            REPAIR_HINT if report.chip.option_bytes.factory_known else REPAIR_BY_NAME_HINT,
        ),
        (
            bool(report.moved_pages),
            f"the {report.chip.flash.unit}s of this flash are not as dfurun knows them: {report.moved_pages}",
            MOVED_HINT,
        ),
        (
            report.description.is_user_dfu,
            "this is a DFU program in user flash, not the bootloader in ROM",
            "hold BOOT0 high and power-cycle the board to reach the ROM",
        ),
    ):
        if not is_so:
            continue
        if not quiet:
            output.product.print()
        output.product.print(f"! {words}", style="bold yellow")
        print_hint(output.product, hint)
