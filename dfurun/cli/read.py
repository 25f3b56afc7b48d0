"""`dfurun read`: save a board's flash, or another part of its memory, to a file. It changes nothing on the board."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dfurun.cli import completion
from dfurun.cli.bench import Bench, chip_called, set_up
from dfurun.cli.board_options import BoardOptions, SimClock, SimOperator
from dfurun.cli.failures import UsageFailure
from dfurun.cli.options import (
    BoardChip,
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
    SimToken,
    Verbose,
    quiet_option,
)
from dfurun.cli.output import Output
from dfurun.units import format_address, format_size, in_both_bases, parse_address, parse_size

if TYPE_CHECKING:
    from dfurun.chips import Chip
    from dfurun.run.backup import Wanted

WHAT = "What to read"


def read_command(
    context: typer.Context,
    output_file: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            show_default=False,
            autocompletion=completion.files,
            help="Where the bytes go, raw. ${port}, ${date}, ${time}, ${chip} and ${unique-id} in the name are filled in.",
        ),
    ],
    address: Annotated[
        str | None,
        typer.Option("--address", metavar="ADDRESS", help="The first byte; the start of flash.", rich_help_panel=WHAT),
    ] = None,
    length: Annotated[
        str | None,
        typer.Option(
            "--length",
            metavar="SIZE",
            help="How many bytes, such as 128K; to the end of that memory.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    option_bytes: Annotated[
        bool, typer.Option("--option-bytes", help="The option bytes, as a whole.", rich_help_panel=WHAT)
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
    port: Port = None,
    serial: Serial = None,
    chip: BoardChip = None,
    json: Json = False,
    verbose: Verbose = 0,
    quiet: Annotated[bool, quiet_option("Only failures: nothing where the file is saved.")] = False,
    log: Log = None,
    sim: Sim = False,
    sim_chip: SimChip = None,
    sim_state: SimState = None,
    sim_clock: SimClockOption = SimClock.REAL,
    sim_fault: SimFault = None,
    sim_option_reload: SimReload = None,
    sim_token: SimToken = None,
) -> int:
    """Save a board's flash to a file: a backup. What is saved was read twice, the same both times.

    A file that is there already is kept: the same bytes in it are a success, others are none. No failure leaves half a
    file.
    """
    from dfurun.run.backup import Wanted

    output: Output = context.obj
    wanted = Wanted(_address(address), _length(length), option_bytes)
    if option_bytes and (address or length):
        raise UsageFailure("--option-bytes are read as a whole", "without --address and --length")
    _require_file_name(output_file)
    states: tuple[Path, ...] = tuple(sim_state or ())
    faults = tuple(sim_fault or ())
    options = BoardOptions(
        port, serial, sim, sim_chip, states, sim_clock, faults, SimOperator.PRESENT, sim_option_reload, sim_token
    )
    output.watch(quiet=quiet, verbose=verbose, log=log)
    named = chip_called(chip) if chip else None
    _read(output, set_up(options, named, on_made=output.made), named, wanted, output_file, overwrite=force, quiet=quiet)
    return 0


def _read(
    output: Output, bench: Bench, chip: Chip | None, wanted: Wanted, file: str, *, overwrite: bool, quiet: bool
) -> None:
    from dfurun.errors import Interrupted
    from dfurun.run.backup import back_up
    from dfurun.run.interruption import Interruption
    from dfurun.run.journal import known_cause
    from dfurun.usb.recognise import likeness

    if chip is None:
        bench.hold_selected()
        chip = likeness(bench.bus, bench.selector, bench.clock, bench.told).the_one()
    connection = bench.connection(chip, output.trace)
    bench.keep_to_itself(connection)
    with Interruption(output.stopping) as interruption:

        def on_progress(activity: str, done: int, total: int) -> None:
            output.progress(activity, done, total)
            interruption.check()

        try:
            saved = back_up(
                connection,
                chip,
                wanted,
                file,
                overwrite=overwrite,
                explain_protection=lambda port: known_cause(bench.journal_name(port)),
                on_progress=on_progress,
            )
        except Interrupted as error:
            consequence = "the board was only read, and no file was written"
            raise Interrupted(error.code, error.message, consequence=consequence) from None
        finally:
            output.end_progress()
            connection.close()
    size = saved.extent.size_bytes
    output.write(
        {
            "event": "read",
            "port": saved.port,
            "chip": saved.chip.name,
            "unique_id": saved.unique_id,
            "address": saved.extent.start,
            "size": size,
            "file": str(saved.file),
            "sha256": saved.sha256,
            "written": saved.written,
        }
    )
    if not output.as_json and not quiet:
        where = f"{format_size(size)} from {format_address(saved.extent.start)}"
        done = f"saved to {saved.file}" if saved.written else f"are in {saved.file} already"
        output.product.print(f"{where} of {saved.chip.title} at {saved.port} {done}", soft_wrap=True)
        output.product.print(f"sha256 {saved.sha256}", soft_wrap=True)


def _address(text: str | None) -> int | None:
    try:
        return None if text is None else parse_address(text)
    except ValueError as error:
        raise UsageFailure(f"--address: {error}", in_both_bases(text or "")) from None


def _length(text: str | None) -> int | None:
    try:
        size_bytes = None if text is None else parse_size(text)
    except ValueError as error:
        raise UsageFailure(
            f"--length: {error}", in_both_bases(text or "") or "without --length all of the memory is read"
        ) from None
    if size_bytes == 0:
        raise UsageFailure("--length: nothing is to be read", "without --length all of the memory is")
    return size_bytes


def _require_file_name(name: str) -> None:
    from dfurun.steps.file_names import VARIABLES, objection, wrong_variable
    from dfurun.steps.step import did_you_mean

    unknown = wrong_variable(name)
    if unknown is not None:
        raise UsageFailure(f"--output: a file's name has no variable {unknown!r}", did_you_mean(unknown, VARIABLES))
    if (why := objection(name)) is not None:
        raise UsageFailure(f"--output: {why}", "such as flash.bin")
    if Path(name).is_dir():
        raise UsageFailure(f"--output: {name} is a folder", f"a file's name in it, such as {Path(name) / 'flash.bin'}")
