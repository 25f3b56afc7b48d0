"""Rules about option bytes: protection, RDP, what decides on the start of the application, and consent nobody needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product

from dfurun.chips import BootTarget, FieldValue, Guard
from dfurun.chips.option_bytes import InForce
from dfurun.errors import Code, Finding, Related
from dfurun.lint.case import Case, Moment, fields_after, place_of
from dfurun.plan import interpret
from dfurun.steps.check_option_bytes import CheckOptionBytes
from dfurun.steps.projected import OPEN_LEVEL
from dfurun.steps.set_option_bytes import SetOptionBytes
from dfurun.steps.step import PROTECTS_WHAT_FOLLOWS
from dfurun.steps.unprotect import Unprotect
from dfurun.steps.verify import Verify
from dfurun.steps.wait_for_power_cycle import WaitForPowerCycle

RDP = "RDP"


def _settings(case: Case) -> Iterator[tuple[Moment, SetOptionBytes]]:
    for moment in case.moments:
        if isinstance(moment.step, SetOptionBytes):
            yield moment, moment.step


def protected_before_verify(case: Case) -> Iterator[Finding]:
    """Find an image that is verified only after the recipe has closed the chip to reading."""
    for moment, step in _settings(case):
        if fields_after(step).get(RDP, OPEN_LEVEL) == OPEN_LEVEL:
            continue
        open_images = {w.image.name for w in moment.before.written} - moment.before.verified
        for later in case.later_than(moment):
            if isinstance(later.step, Verify) and later.step.image.name in open_images:
                yield step.finding(
                    Code.PROTECTED_BEFORE_VERIFY,
                    f"RDP is set before {later.step.image.name} is verified: a protected chip cannot be read",
                    *place_of(step, RDP),
                    hint="verify first, and protect as the last change",
                    related=(Related((*later.step.path, "image"), "verified only here"),),
                )


def protection_not_seen(case: Case) -> Iterator[Finding]:
    """Find protection that nobody sees at work, on chips that load option bytes at power-on only.

    What is stored is read back by `set-option-bytes` itself, so that a check without a power cycle would tell nothing new.
    """
    layout = case.chip.option_bytes
    if layout.in_force_at is not InForce.POWER_ON:
        return
    for moment, step in _settings(case):
        what, names = "", frozenset[str]()
        if fields_after(step).get(RDP, OPEN_LEVEL) != OPEN_LEVEL:
            what, names = "read protection", frozenset({RDP})
        elif moment.after.write_protected and moment.after.write_protected_by == step.path and layout.write_protection:
            what, names = "write protection", frozenset(layout.write_protection.decided_by)
        if what and not _is_checked(case, moment, names):
            rdp = fields_after(step).get(RDP)
            checked = f"{RDP}: {rdp}" if RDP in names else ", ".join(f"{name}: ..." for name in sorted(names))
            yield step.finding(
                Code.PROTECTION_NOT_SEEN,
                f"{what} is stored and not in force yet: {case.chip.title} loads option bytes at power-on",
                *place_of(step, RDP),
                hint="behind it `wait-for-power-cycle: {boot0: 1}` and "
                f"`check-option-bytes: {{fields: {{{checked}}}}}` see that it is",
            )


def _is_checked(case: Case, moment: Moment, names: frozenset[str]) -> bool:
    """Say whether a power cycle follows, and behind it a check of any of these fields."""
    cycled = False
    for later in case.later_than(moment):
        match later.step:
            case WaitForPowerCycle(boot0=1):
                cycled = True
            case CheckOptionBytes(fields=fields) if cycled and names & fields.keys():
                return True
            case _:
                pass
    return False


def rdp_lowered(case: Case) -> Iterator[Finding]:
    """Find RDP level 0 where `set-option-bytes` cannot bring it about, or would erase the chip for it."""
    for moment, step in _settings(case):
        if fields_after(step).get(RDP) != OPEN_LEVEL:
            continue
        set_before = moment.before.option_fields.get(RDP)
        if set_before is not None and set_before.value != OPEN_LEVEL:
            yield step.finding(
                Code.RDP_LOWERED,
                f"the recipe sets RDP to {set_before.value} and lowers it again: the chip erases all of its flash for that",
                *place_of(step, RDP),
                hint=f"keep one of the two; if the flash is meant to be erased, {_OPEN_IT}",
                related=(Related(set_before.path, "set here"),),
            )
        elif RDP in step.written and not any(isinstance(m.step, Unprotect) for m in case.earlier_than(moment)):
            yield step.finding(
                Code.RDP_LOWERED,
                f"`RDP: {OPEN_LEVEL}` opens no protected board: one that is protected ends the run before this",
                *place_of(step, RDP),
                hint=f"{_OPEN_IT}; or leave RDP out, as an open board has it already",
            )


_OPEN_IT = "`unprotect` as the second step opens a board, and erases it"


def boot_half_named(case: Case) -> Iterator[Finding]:
    """Find a recipe that names some of the fields that decide on the start, and leaves the outcome to the others."""
    boot, layout = case.chip.boot, case.chip.option_bytes
    known = {name: setting.value for name, setting in case.end.option_fields.items()}
    named = [(moment, step) for moment, step in _settings(case) if boot.fields & step.fields.keys()]
    unknown = sorted(boot.fields - known.keys())
    if not named or not unknown or any(layout.fields[name].width > 1 for name in unknown):
        return
    factory = layout.decode(layout.factory)
    starts = {
        values: case.chip.starts({**factory, **known, **dict(zip(unknown, values, strict=True))}, boot0=0)
        for values in product((0, 1), repeat=len(unknown))
    }
    hidden = [values for values, target in starts.items() if target is not BootTarget.MAIN_FLASH]
    if hidden and len(hidden) < len(starts):
        step = named[-1][1]
        field = next(name for name in step.fields if name in boot.fields)
        example = ", ".join(f"{name} {value}" for name, value in zip(unknown, hidden[0], strict=True))
        factory_has = ", ".join(f"{name}: {factory[name]}" for name in unknown)
        table = f"`dfurun chips {case.chip.name}` shows the boot table"
        shown = f"the factory has {factory_has}" if layout.factory_known else table
        yield step.finding(
            Code.BOOT_HALF_NAMED,
            f"whether the application starts with BOOT0 low is left to what the board holds: with {example} it does not",
            *place_of(step, field),
            hint=f"name {' and '.join(unknown)} as well: {shown}",
        )


def for_ever(case: Case) -> Iterator[Finding]:
    """Find steps that nothing undoes: a reviewer has to see why."""
    for moment in case.moments:
        if moment.step.irreversible:
            yield moment.step.finding(
                Code.FOR_EVER,
                moment.step.irreversible,
                hint="where it is meant, say why: `x-lint-ignore: [{code: for-ever, reason: ...}]` in the step's body",
            )


def allow_unneeded(case: Case) -> Iterator[Finding]:
    """Find consent that no step can need: it would let a later change of the recipe pass unseen."""
    for index, name in enumerate(case.values.get("allow", ())):
        if name == PROTECTS_WHAT_FOLLOWS:
            needed = _needs_order(case)
        else:
            guards = [guard for guard in case.chip.guards if guard.name == name]
            needed = any(_may_enter(case, guards, step) for _, step in _settings(case))
        if not needed:
            message = f"no step of the recipe does what `{name}` allows"
            yield Finding(Code.ALLOW_UNNEEDED, message, ("allow", index), hint="remove it from `allow`")


def _needs_order(case: Case) -> bool:
    """Say whether a step follows on protection that closes the chip to it."""
    without = replace(case.recipe, allow=case.recipe.allow - {PROTECTS_WHAT_FOLLOWS})
    return any(finding.code is Code.GUARD for finding in interpret(without).findings)


def _may_enter(case: Case, guards: list[Guard], step: SetOptionBytes) -> bool:
    """Say whether a step may meet one of the guards, whatever the board holds; none of the data: one of the boot table."""
    fields = fields_after(step)
    if not guards:
        return bool(case.chip.boot.fields & fields.keys())
    return any(_may_hold(guard, fields) for guard in guards)


def _may_hold(guard: Guard, fields: Mapping[str, FieldValue]) -> bool:
    if any(name in fields for name in guard.changes):
        return True
    if not any(name in fields for name in (*guard.when, *guard.when_not)):
        return False
    fits = all(fields.get(name, value) == value for name, value in guard.when.items())
    return fits and not any(name in fields and fields[name] in harmless for name, harmless in guard.when_not.items())


RULES = (
    protected_before_verify,
    protection_not_seen,
    rdp_lowered,
    boot_half_named,
    for_ever,
    allow_unneeded,
)
