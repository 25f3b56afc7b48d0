"""set-option-bytes: change option bytes by name. The raw block is read, changed, checked, written once and read back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from dfurun.chips import BootTarget, Chip, FieldValue, Guard, InForce, OptionLayout
from dfurun.chips.option_bytes import FactoryBytes
from dfurun.errors import Code, Finding, LinkUnreliable, Refused, Related, StepFailed
from dfurun.steps.board import AbstractBoard, FieldSet
from dfurun.steps.context import Context
from dfurun.steps.effect import Act, ActKind, Effect, OptionEffect, Will, field_effects
from dfurun.steps.event import OptionBytesPlanned, Outcome
from dfurun.steps.flashing import REDO_LIMIT
from dfurun.steps.forecast import OptionForecast
from dfurun.steps.known_pages import require_known_pages
from dfurun.steps.option_fields import parse_fields, require_established
from dfurun.steps.option_sources import image_fields, protecting_fields
from dfurun.steps.power_cut import if_power_went, tell_to_keep_power, to_keep_power
from dfurun.steps.projected import OPEN_LEVEL, ProjectedBoard
from dfurun.steps.step import Head, Result, Scope, Step
from dfurun.units import format_hex

BOOT0_LEVELS = (0, 1)
PERMANENT_LEVEL = "level-2"
_UNKNOWN_FACTORY = {
    FactoryBytes.MEASURED: "the factory's option bytes differ from board to board",
    FactoryBytes.MODELLED: "the factory's option bytes are not established",
}


@dataclass(frozen=True, slots=True)
class Writing:
    """A write of the whole block that was begun: reviewed, and its guards judged. `done` are its changes in words."""

    before: bytes
    after: bytes
    done: str


@dataclass(frozen=True, slots=True)
class SetOptionBytes(Step):
    """Bits that are not named stay as they are read, or as the factory set them with `from_factory`.

    `fields` come from the body's `fields`, which are `written`, and under them from `write-protect` and from an image.
    `by_pages`: `write-protect` names pages.
    """

    keyword: ClassVar[str] = "set-option-bytes"
    destructive: ClassVar[bool] = True
    fields: Mapping[str, FieldValue]
    from_factory: bool
    chip: Chip
    allow: frozenset[str]
    written: frozenset[str] = frozenset()
    by_pages: bool = False

    @classmethod
    def parse(cls, head: Head, body: Mapping[str, Any], scope: Scope) -> Self | None:
        """Return the step with the fields that the chip takes; where there are others, only to be judged."""
        from_factory = body.get("from", "current") == "factory"
        if not require_established(head.path, scope):
            return None
        if from_factory and not scope.chip.option_bytes.factory_known:
            message = f"{scope.chip.title}: {_UNKNOWN_FACTORY[scope.chip.option_bytes.factory_is]}"
            hint = "name the fields that are to change in `fields`; all others stay as they are read"
            scope.report(Code.FACTORY_NOT_KNOWN, message, (*head.path, "from"), hint=hint)
            return None
        if not from_factory and not any(body.get(key) for key in ("fields", "image")) and "write-protect" not in body:
            words = "none of `fields`, `write-protect`, `image` and `from: factory`: nothing would be set"
            scope.report(Code.BAD_VALUE, words, head.path)
            return None
        fields: dict[str, FieldValue] = {}
        if "image" in body:
            fields |= image_fields(body["image"], (*head.path, "image"), scope)
        named = parse_fields(body.get("fields", {}), (*head.path, "fields"), scope)
        if "write-protect" in body:
            protecting = protecting_fields(body["write-protect"], (*head.path, "write-protect"), scope)
            for name in protecting.keys() & named.keys():
                scope.report(
                    Code.BAD_VALUE,
                    f"`write-protect` sets {name} as well",
                    (*head.path, "fields", name),
                    hint="keep one",
                )
            fields |= protecting
        return cls(
            head,
            {**fields, **named},
            from_factory,
            scope.chip,
            scope.allow,
            frozenset(named),
            by_pages=bool(body.get("write-protect")),
        )

    def effect(self, board: AbstractBoard) -> tuple[AbstractBoard, list[Finding]]:
        """Judge the guards that the recipe alone decides; remember what the new bytes close."""
        findings = [
            *self.needs_open_flash(board),
            *self._guard_findings(self._known_after()),
            *self._contradictions(board),
            *self._late(board),
        ]
        known = self._known_after()
        layout = self.chip.option_bytes
        board = replace(board, option_fields={**board.option_fields, **self._fields_set(known)})
        findings += self.needs_known_pages(board) if self.by_pages else []
        if known.get("RDP", OPEN_LEVEL) != OPEN_LEVEL:
            board = replace(board, sealed_by=self.path)
        named = [name for name in known if layout.write_protection and name in layout.write_protection.decided_by]
        if named:
            raw = layout.encode(layout.factory, {name: known[name] for name in named})
            protected = layout.write_protected(raw, self.chip.flash)
            board = replace(board, write_protected=protected, write_protected_by=self.path)
        return board, findings

    def judged_alone(self) -> list[Finding]:
        """Judge the guards on the fields that the step names; what the factory has may be named by what could not be read."""
        return self._guard_findings(self.fields)

    @property
    def irreversible(self) -> str | None:
        """What the recipe alone says is for ever."""
        return next((guard.means for guard in self.chip.guards_of(self._known_after()) if guard.irreversible), None)

    def project(self, board: ProjectedBoard) -> tuple[ProjectedBoard, Effect]:
        """Set the named fields; all others stay as they are, or are the factory's."""
        layout, before = self.chip.option_bytes, board.raw
        try:
            after = layout.factory if before is None and self.from_factory else before
            after = None if after is None else self._target(after)
        except Refused as refusal:
            return board, Effect(Will.FAIL, str(refusal), acts=(Act(ActKind.OPTIONS),))
        if before is not None and before == after:
            return board, Effect(Will.NOTHING, "the option bytes are as named already", acts=(Act(ActKind.OPTIONS),))
        after = after if before is None or after is None else layout.completed(after, before)
        set_to = board.with_options(after, {**board.fields, **self._known_after()})
        fields = field_effects(board.fields, set_to.fields if after else self._known_after(), layout.fields)
        closes = set_to.protects and layout.in_force_at is InForce.RESET
        return replace(set_to, protected=closes or board.protected), Effect(
            Will.PERHAPS if before is None and all(field.before is None for field in fields) else Will.CHANGE,
            f"sets option bytes, all others {'as from the factory' if self.from_factory else 'stay as they are'}",
            options=OptionEffect(before, after, fields),
            permanent=next((guard.means for guard in self.chip.guards_of(set_to.fields) if guard.irreversible), ""),
            asks=to_keep_power(self.chip),
            acts=(Act(ActKind.OPTIONS), *self._write_acts(before, after), *_read_back_acts(is_closed=closes)),
        )

    def _write_acts(self, before: bytes | None, after: bytes | None) -> list[Act]:
        """Return the writes of the blocks that change; of all where that is not known, and of one block alone always that."""
        layout, blocks = self.chip.option_bytes, self.chip.option_bytes.blocks
        if before is not None and after is not None and len(blocks) > 1:
            blocks = tuple(block for block in blocks if layout.part(before, block) != layout.part(after, block))
        return [act for block in blocks for act in (Act(ActKind.WRITE_OPTIONS, block), Act(ActKind.RETURN))]

    def preflight(self, context: Context, forecast: OptionForecast | None) -> OptionForecast | None:
        """Judge the guards on the board's own bytes, before anything destructive."""
        context.require_rom(self.keyword)
        if forecast is None:
            return None
        after = self._target(forecast.stored)
        self._check_guards(context, forecast.stored, after)
        self._require_known_pages(after)
        return forecast.written(after, self.chip.option_bytes)

    def execute(self, context: Context) -> Result:
        """Read, change, check, show, write once, follow the reset, read back."""
        context.require_rom(self.keyword)
        context.require_readable(self.keyword)
        layout = self.chip.option_bytes
        before = context.option_bytes()
        after = self._target(before)
        self._check_guards(context, before, after)
        self._require_known_pages(after)
        for field in layout.cleared_reserved(after):
            context.notice(
                f"{field.name} reads 0 and must stay 1 ({field.means})",
                code=Code.RESERVED_BIT_CLEARED,
                hint=f"to set it, name it in `fields`{self._or_from_factory()}",
            )
        changes = tuple(str(change) for change in layout.changes(before, after))
        boots_before, boots_after = self._boots(before, after)
        context.emit(OptionBytesPlanned(self.head.index, before, after, changes, boots_before, boots_after))
        if before == after:
            return Result(Outcome.OK, "already as named")
        tell_to_keep_power(context)
        context.begin_destruction("option-bytes", "write option bytes", before=before.hex(), after=after.hex())
        writing = Writing(before, after, ", ".join(changes) or "erased bytes programmed")
        context.reached = writing
        return self._write(context, writing)

    def _boots(self, before: bytes, after: bytes) -> Iterator[dict[str, BootTarget]]:
        """Yield what starts at each level of BOOT0 before and after a change; nothing where no such field changes."""
        layout = self.chip.option_bytes
        decides = any(change.field.name in self.chip.boot.fields for change in layout.changes(before, after))
        for fields in (layout.decode(before), layout.decode(after)):
            levels = BOOT0_LEVELS if decides else ()
            yield {f"boot0={level}": self.chip.starts(fields, boot0=level) for level in levels}

    def resume(self, context: Context) -> Result:
        """Look at what is stored where the write was begun; the block is written again where it was not taken, or torn."""
        writing = context.reached
        if not isinstance(writing, Writing):
            return self.execute(context)
        context.require_rom(self.keyword)
        if context.is_protected() and not self._means_the_same_erased(writing.after):
            raise self._torn(context, writing.after)
        result = self._read_back(context, writing)
        return self._write(context, result) if isinstance(result, Writing) else result

    def _means_the_same_erased(self, after: bytes) -> bool:
        """Say whether erased option bytes, which a power cut leaves and which read as protected, mean the same as `after`."""
        layout = self.chip.option_bytes
        return layout.storage.shape.judged and layout.decode(b"\xff" * layout.size_bytes) == layout.decode(after)

    def _torn(self, context: Context, after: bytes) -> LinkUnreliable:
        return LinkUnreliable(
            Code.NOT_BACK,
            "the board was lost while its option bytes were written, and refuses to be read since",
            consequence=f"whether it holds {format_hex(after, group=2)} or erased option bytes cannot be told: both protect it",
            hint="`unprotect` opens it, and erases all of its flash; then run again",
            evidence=context.protection().evidence,
        )

    def _write(self, context: Context, writing: Writing) -> Result:
        """Write the whole block, follow the reset, read back; again where it was not taken or is torn, twice at most."""
        for again in range(REDO_LIMIT + 1):
            if again:
                context.connection.anomalies.note("option bytes not taken")
                context.notice("the option bytes were not taken as a whole: writing them again")
            try:
                self._write_blocks(context, writing)
            except StepFailed:
                found = self.chip.option_bytes.effective(context.session.read_option_bytes())
                if again == REDO_LIMIT or found != self.chip.option_bytes.effective(writing.before):
                    raise
                continue  # the ROM has refused it and changed nothing
            result = self._read_back(context, writing)
            if not isinstance(result, Writing):
                return result
            writing = result
        raise _differ(context.option_bytes(), writing.after)

    def _write_blocks(self, context: Context, writing: Writing) -> None:
        """Write every block that is to change, whole, and follow the reset after each; of one block alone, always that.

        The block that holds RDP is the last: nothing else can be written once a level above 0 is in force.
        """
        layout = self.chip.option_bytes
        for block in layout.blocks_with_last("RDP"):
            part = layout.part(writing.after, block)
            if len(layout.blocks) > 1 and part == layout.part(writing.before, block):
                continue
            why_not_back = context.follow_reset(context.session.write_option_bytes(block, part))
            if why_not_back is not None:
                raise self._not_back(context, writing.after, why_not_back)

    def _not_back(self, context: Context, after: bytes, why: str) -> LinkUnreliable:
        """Return the failure of a board that is not back; bytes that hide the bootloader look like a lost cable."""
        fields = self.chip.option_bytes.decode(after)
        hidden = fields["RDP"] == PERMANENT_LEVEL or self.chip.starts(fields, boot0=1) is not BootTarget.SYSTEM_MEMORY
        return LinkUnreliable(
            Code.NOT_BACK,
            f"option bytes written, and the board is {why}",
            consequence="option bytes written, not read back",
            hint=(
                "the new bytes do not start the bootloader again, so only the board's own behaviour can tell"
                if hidden
                else "hold BOOT0 high, power-cycle the board and run again"
            )
            + if_power_went(self.chip),
            evidence=context.connection.anomalies.evidence,
        )

    def _read_back(self, context: Context, writing: Writing) -> Result | Writing:
        """Return the result where what is stored is what was written, and what is left to write where it has to be sent again.

        That is so where each block is as it was, as it was to be, or torn.
        """
        layout, after, done = self.chip.option_bytes, writing.after, writing.done
        level = layout.decode(after)["RDP"]
        if context.is_protected() and level != OPEN_LEVEL:
            alone = "" if self._means_the_same_erased(after) else " of RDP; the other fields cannot be read back"
            return Result(Outcome.CHANGED, f"{done}; reading is refused now, which is its read-back{alone}")
        if context.is_protected_again():
            raise StepFailed(
                Code.OPTION_BYTES_DIFFER,
                "the chip is read-protected after option bytes with RDP level 0 were written",
                consequence="its option bytes may be half-written: erased ones read as RDP level 1",
                hint="`unprotect` opens it and erases all of its flash",
                evidence=context.protection().evidence,
            )
        found = context.option_bytes_written(after)
        if layout.effective(found) == layout.effective(after):
            return Result(Outcome.CHANGED, done)
        as_if = self._by_blocks(found, after, where=writing.before)
        if layout.is_torn(as_if, after):
            return replace(writing, before=self._by_blocks(found, after, where=after))
        raise _differ(found, after)

    def _by_blocks(self, found: bytes, after: bytes, *, where: bytes) -> bytes:
        """Return what was found, with the blocks of `after` for those that mean the same as in `where`."""
        layout = self.chip.option_bytes
        means, same = layout.effective(found), layout.effective(where)
        return b"".join(
            layout.part(after if layout.part(means, block) == layout.part(same, block) else found, block)
            for block in layout.blocks
        )

    def _target(self, before: bytes) -> bytes:
        """Return the bytes to write; raise Refused where that would give unnamed, spoiled bytes a value nobody chose."""
        layout = self.chip.option_bytes
        if self.from_factory:
            return layout.encode(layout.factory, self.fields)
        spoiled = [at for at in layout.spoiled(before) if not self.fields.keys() >= set(layout.fields_at(at))]
        if spoiled:
            holders = [name for at in spoiled for name in layout.fields_at(at)]
            raise Refused(
                Code.OPTION_BYTES_SPOILED,
                f"the complement does not fit at +{spoiled[0]} ({', '.join(holders)}): the chip takes that byte as 0xFF, "
                f"stored is 0x{before[spoiled[0]]:02X}",
                consequence="nothing was written",
                hint=f"say what it should be: name all of its fields{self._or_from_factory()}",
            )
        return layout.encode(before, self.fields)

    def _or_from_factory(self) -> str:
        """Return the other way to a value that nobody has named, on the chips that have it."""
        return ", or use `from: factory`" if self.chip.option_bytes.factory_known else ""

    def _known_after(self) -> Mapping[str, FieldValue]:
        """Return the fields whose value after this step the recipe alone tells."""
        layout: OptionLayout = self.chip.option_bytes
        return layout.decode(layout.encode(layout.factory, self.fields)) if self.from_factory else self.fields

    def _fields_set(self, known: Mapping[str, FieldValue]) -> dict[str, FieldSet]:
        return {
            name: FieldSet(value, (*self.path, *self._keys_of(name)), named=name in self.fields)
            for name, value in known.items()
        }

    def _keys_of(self, name: str) -> tuple[str, ...]:
        """Return where in the body a field is written; nothing for one that comes of something else there."""
        return ("fields", name) if name in self.written else ()

    def _contradictions(self, board: AbstractBoard) -> list[Finding]:
        """Return a finding for each field that the step just before this one sets to another value."""
        return [
            self.finding(
                Code.STEP_ORDER,
                f"{name} is set twice in a row, to {field.show(earlier.value)} and to {field.show(value)}",
                *self._keys_of(name),
                hint="keep one: each write of option bytes resets the board",
                related=(Related(earlier.path, "first here"),),
            )
            for name, value in self.fields.items()
            if (earlier := board.option_fields.get(name)) and earlier.named and earlier.value != value
            if earlier.path[1] == self.head.index - 1
            for field in [self.chip.option_bytes.fields[name]]
        ]

    def _late(self, board: AbstractBoard) -> list[Finding]:
        """Return a finding where the step brings within reach the bootloader that an earlier write has put out of it.

        That is so on a board with the factory's option bytes, as `unprotect` leaves one.
        """
        layout = self.chip.option_bytes
        factory = layout.decode(layout.factory)
        before = factory | {name: earlier.value for name, earlier in board.option_fields.items()}
        if not board.written or self.chip.reaches_bootloader(factory) or self.chip.reaches_bootloader(before):
            return []
        named = next((name for name in self.fields if name in self.chip.boot.fields), None)
        if named is None or not self.chip.reaches_bootloader({**before, **self._known_after()}):
            return []
        return [
            self.finding(
                Code.OUT_OF_REACH,
                f"until here the bootloader of a board from the factory is out of reach: with {named} {before[named]} the "
                "application starts, whatever BOOT0 says",
                *self._keys_of(named),
                hint="set the boot option bytes before `write`: a run that is cut short between the two can be run again then",
                related=(Related(board.written[0].path, "written here"),),
            )
        ]

    def _guard_findings(self, known: Mapping[str, FieldValue]) -> list[Finding]:
        return [self._guard_finding(guard) for guard in self.chip.guards_of(known) if guard.name not in self.allow]

    def _guard_finding(self, guard: Guard) -> Finding:
        named = [field for field in guard.fields if field in self.fields]
        keys = self._keys_of(named[0]) if named else ()
        related = tuple(
            Related((*self.path, *self._keys_of(field)), "together with this")
            for field in named[1:]
            if field in self.written
        )
        return self.finding(Code.GUARD, guard.means, *keys, hint=_consent(guard), related=related)

    def _require_known_pages(self, after: bytes) -> None:
        """Raise Refused where `write-protect` names pages, and the bytes to be written give the flash others."""
        if self.by_pages:
            require_known_pages(self.chip, "write-protect", OptionForecast.settled(after))

    def _check_guards(self, context: Context, before: bytes, after: bytes) -> None:
        layout = self.chip.option_bytes
        old, new = layout.decode(before), layout.decode(after)
        for guard in self.chip.guards_entered(old, new):
            if guard.name not in self.allow:
                raise Refused(Code.GUARD, guard.means, consequence="nothing destructive was sent", hint=_consent(guard))
            if guard.irreversible and not context.allow_irreversible:
                raise irreversible_refusal(guard.means)


def _read_back_acts(*, is_closed: bool) -> list[Act]:
    kinds = [ActKind.JUDGE] if is_closed else [ActKind.JUDGE, ActKind.IDENTITY, ActKind.OPTIONS_AFRESH]
    return [Act(kind, protected=is_closed) for kind in kinds]


def _differ(found: bytes, after: bytes) -> StepFailed:
    return StepFailed(
        Code.OPTION_BYTES_DIFFER,
        f"option bytes read back as {format_hex(found, group=2)}, written were {format_hex(after, group=2)}",
        consequence="the board holds the bytes that were read back",
        hint="run again",
    )


def irreversible_refusal(means: str) -> Refused:
    """Return the refusal of a change that nothing undoes and that the command line did not consent to."""
    return Refused(
        Code.IRREVERSIBLE,
        means,
        consequence="nothing was sent",
        hint="if that is what you want, run with --allow-irreversible",
    )


def _consent(guard: Guard) -> str:
    flag = " and run with --allow-irreversible" if guard.irreversible else ""
    return f"if that is what you want, write `allow: [{guard.name}]`{flag}"
