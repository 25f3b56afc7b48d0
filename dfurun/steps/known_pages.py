"""Whether the pages of a board's flash are as the chip's data has them: what is erased by pages is refused where they are not.

Some option bytes double the pages, or change their places (DBANK, nDBANK, SWAP_BANK). An erase at one page's address could then
take a neighbour. A mass erase and a write after it need no pages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dfurun.chips import Chip, FieldValue, InForce, PageField
from dfurun.chips.page_geometry import moved_in_words
from dfurun.errors import Code, Refused, StepFailed
from dfurun.steps.context import Context
from dfurun.steps.forecast import OptionForecast
from dfurun.units import AddressRange

POWER_CYCLE = "wait-for-power-cycle: {boot0: 1}"
WITHOUT_PAGES = "`mass-erase`, and a `write` after it, need no pages"


def setting_back(chip: Chip, moved: Sequence[PageField], fields: Mapping[str, FieldValue]) -> str:
    """Return what to put before a step so that the pages are known, with the guards that `allow` has to name for it."""
    known = {field.name: field.value for field in moved}
    step = ", ".join(f"{name}: {value}" for name, value in known.items())
    guards = ", ".join(guard.name for guard in chip.guards_entered(fields, {**fields, **known}))
    allow = f" under `allow: [{guards}]`" if guards else ""
    until = "" if chip.option_bytes.in_force_at is InForce.RESET else f" and `{POWER_CYCLE}`"
    erase = f"after that, `mass-erase` what other {chip.flash.unit}s hold"
    return f"`set-option-bytes: {{fields: {{{step}}}}}`{allow}{until}; {erase}"


def refusal(chip: Chip, what: str, raw: bytes, *, pending: bool = False) -> Refused | None:
    """Return why `what` is refused with these option bytes, None where the pages are known.

    `pending`: other bytes are stored, and these may be in force until a power cycle.
    """
    fields, unit = chip.option_bytes.decode(raw), chip.flash.unit
    moved = chip.moved_pages(fields)
    if not moved:
        return None
    words = moved_in_words(moved, fields)
    if pending:
        perhaps, way = "may not be", f"put `{POWER_CYCLE}` before it"
        words += ", and these bytes, stored before, may be in force until a power cycle"
    else:
        perhaps, way = "are not", f"put before it {setting_back(chip, moved, fields)}"
    return Refused(
        Code.PAGES_MOVED,
        f"{what}: the {unit}s of this board {perhaps} as dfurun knows them: {words}",
        consequence=f"nothing was written; other {unit}s than the ones that are meant could have been reached",
        hint=f"{WITHOUT_PAGES}; to have known {unit}s, {way}",
    )


def require_known_pages(context: Context, what: str, forecast: OptionForecast | None) -> None:
    """Raise Refused where the option bytes, as they are stored or may be in force, have other pages than the data.

    `forecast` are the option bytes at that time, None where they cannot be known.
    """
    if forecast is None or not context.chip.page_fields:
        return
    refused = refusal(context.chip, what, forecast.stored)
    others = sorted(forecast.in_force - {forecast.stored})
    refused = refused or next((why for raw in others if (why := refusal(context.chip, what, raw, pending=True))), None)
    if refused is not None:
        raise refused


def require_known_pages_now(context: Context, what: str) -> None:
    """Raise Refused where the board as it is now has other pages than the data; an `unprotect` may have come between."""
    require_known_pages(context, what, _forecast_now(context))


def require_redoable(context: Context, extent: AddressRange, code: Code) -> None:
    """Raise StepFailed, with this code, where a page that is wrong cannot be erased and written once more by itself."""
    try:
        require_known_pages(context, "write", _forecast_now(context))
    except Refused as refused:
        raise StepFailed(
            code,
            f"the flash at {extent} does not hold the image, and is not erased by itself: {refused.message}",
            consequence="the flash holds a part of the image, and must not be used like this",
            hint=f"run again from `mass-erase` on; {refused.hint}",
            evidence=context.connection.anomalies.evidence,
        ) from None


def _forecast_now(context: Context) -> OptionForecast | None:
    """Return the option bytes, None where no pages hang on them; a DFU program in user flash tells its own pages."""
    if not context.chip.page_fields or context.session.description.is_user_dfu:
        return None
    return context.option_forecast()
