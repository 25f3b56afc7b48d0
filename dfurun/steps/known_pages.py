"""Whether the pages of a board's flash are as the chip's data has them: what is erased by pages is refused where they are not.

Some option bytes double the pages, or change their places (DBANK, nDBANK, SWAP_BANK). An erase at one page's address could then
take a neighbour. A mass erase and a write after it need no pages.
"""

from __future__ import annotations

from dataclasses import dataclass

from dfurun.chips import Chip, InForce
from dfurun.chips.page_geometry import moved_in_words
from dfurun.errors import Code, Refused, StepFailed
from dfurun.steps.context import Context
from dfurun.steps.forecast import OptionForecast
from dfurun.units import AddressRange

POWER_CYCLE = "wait-for-power-cycle: {boot0: 1}"


@dataclass(frozen=True, slots=True)
class MovedPages:
    """Why a board's pages are not as they are known, and what to put before a step so that they are."""

    why: str
    way: str

    @classmethod
    def of(cls, chip: Chip, forecast: OptionForecast) -> MovedPages | None:
        """Judge option bytes as they are stored or may be in force; None where the pages are known."""
        stored = _fields_that_move(chip, forecast.stored)
        if stored:
            return cls(
                f"the {chip.flash.unit}s of this board are not as dfurun knows them: {stored}", _back(chip, forecast)
            )
        for raw in sorted(forecast.in_force - {forecast.stored}):
            if before := _fields_that_move(chip, raw):
                perhaps = f"the {chip.flash.unit}s of this board may not be as dfurun knows them: {before}"
                why = f"{perhaps} in what was stored before, which may be in force until a power cycle"
                return cls(why, f"put `{POWER_CYCLE}` before it")
        return None


def require_known_pages(chip: Chip, what: str, forecast: OptionForecast | None) -> None:
    """Raise Refused where the option bytes, as they are stored or may be in force, give the flash other pages.

    `forecast` are the option bytes at that time, None where they cannot be known.
    """
    moved = MovedPages.of(chip, forecast) if forecast and chip.page_fields else None
    if moved is not None:
        unit = chip.flash.unit
        raise Refused(
            Code.PAGES_MOVED,
            f"{what}: {moved.why}",
            consequence=f"nothing was written; other {unit}s than the ones that are meant could have been reached",
            hint=f"`mass-erase`, and a `write` after it, need no {unit}s; to have known {unit}s, {moved.way}",
        )


def require_known_pages_now(context: Context, what: str) -> None:
    """Raise Refused where the board as it is now has other pages than the data; an `unprotect` may have come between."""
    require_known_pages(context.chip, what, _forecast_now(context))


def require_redoable(context: Context, extent: AddressRange, code: Code) -> None:
    """Raise StepFailed, with this code, where a page that is wrong cannot be erased and written once more by itself."""
    forecast = _forecast_now(context)
    moved = MovedPages.of(context.chip, forecast) if forecast else None
    if moved is not None:
        unit = context.chip.flash.unit
        raise StepFailed(
            code,
            f"the flash at {extent} does not hold the image, and no {unit} is erased to mend it: {moved.why}",
            consequence="the flash holds a part of the image, and must not be used like this",
            hint=f"run again from `mass-erase` on; to have known {unit}s, {moved.way}",
            evidence=context.connection.anomalies.evidence,
        )


def _forecast_now(context: Context) -> OptionForecast | None:
    """Return the option bytes, None where no pages hang on them; a DFU program in user flash tells its own pages."""
    if not context.chip.page_fields or context.session.description.is_user_dfu:
        return None
    return context.option_forecast()


def _fields_that_move(chip: Chip, raw: bytes) -> str:
    fields = chip.option_bytes.decode(raw)
    return moved_in_words(chip.moved_pages(fields), fields)


def _back(chip: Chip, forecast: OptionForecast) -> str:
    """Return how the fields are set back, with the guards that `allow` has to name for that."""
    fields, layout = chip.option_bytes.decode(forecast.stored), chip.option_bytes
    known = {field.name: field.value for field in chip.moved_pages(fields)}
    step = ", ".join(f"{name}: {value}" for name, value in known.items())
    guards = ", ".join(guard.name for guard in chip.guards_entered(fields, {**fields, **known}))
    allow = f" under `allow: [{guards}]`" if guards else ""
    until = "" if layout.in_force_at is InForce.RESET else f" and `{POWER_CYCLE}`"
    erase = f"after that, `mass-erase` what other {chip.flash.unit}s hold"
    return f"put before it `set-option-bytes: {{fields: {{{step}}}}}`{allow}{until}; {erase}"
