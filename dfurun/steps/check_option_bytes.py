"""check-option-bytes: the named option-byte fields must be as the recipe says. Nothing is changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from dfurun.chips import FieldValue
from dfurun.errors import Code, Finding, Related, StepFailed
from dfurun.steps.board import AbstractBoard
from dfurun.steps.context import Context
from dfurun.steps.effect import Act, ActKind, Effect, Will
from dfurun.steps.event import Outcome
from dfurun.steps.option_fields import parse_fields, require_established
from dfurun.steps.projected import ProjectedBoard
from dfurun.steps.step import Head, Result, Scope, Step


@dataclass(frozen=True, slots=True)
class CheckOptionBytes(Step):
    """What is stored is compared, which after a power cycle is what is in force."""

    keyword: ClassVar[str] = "check-option-bytes"
    fields: Mapping[str, FieldValue]

    @classmethod
    def parse(cls, head: Head, body: Mapping[str, Any], scope: Scope) -> Self | None:
        """Return the step for fields that the chip has."""
        if not require_established(head.path, scope):
            return None
        fields = parse_fields(body["fields"], (*head.path, "fields"), scope)
        return cls(head, fields) if len(fields) == len(body["fields"]) else None

    def effect(self, board: AbstractBoard) -> tuple[AbstractBoard, list[Finding]]:
        """Change nothing. A protected chip can be checked for just that."""
        wants_protection = self.fields.get("RDP", "level-0") != "level-0" and len(self.fields) == 1
        findings = self.needs_connection(board) if wants_protection else self.needs_open_flash(board)
        return board, findings + self._contradictions(board)

    def _contradictions(self, board: AbstractBoard) -> list[Finding]:
        """Return a finding for each field that an earlier step gave another value: the check could never pass."""
        return [
            self.finding(
                Code.STEP_ORDER,
                f"this check cannot pass: the recipe has set {name} to {field.show(known.value)}",
                "fields",
                name,
                hint="let both name the same value, or check before it is set",
                related=(Related(known.path, "set here"),),
            )
            for name, value in self.fields.items()
            if (known := board.option_fields.get(name)) and known.value != value
            for field in [board.chip.option_bytes.fields[name]]
        ]

    @property
    def needs_open_chip(self) -> bool:
        """Of a protected chip it is known that it is at RDP level 1, and nothing else."""
        return self.fields != {"RDP": "level-1"}

    def project(self, board: ProjectedBoard) -> tuple[ProjectedBoard, Effect]:
        """Compare; it fails where a field is known to be something else."""
        layout, known = board.chip.option_bytes, board.fields
        acts = () if board.protected else (Act(ActKind.OPTIONS),)
        wrong = [name for name, value in self.fields.items() if known.get(name, value) != value]
        if wrong:
            found = ", ".join(f"{name} is {layout.fields[name].show(known[name])}" for name in wrong)
            return board, Effect(Will.FAIL, found, acts=acts)
        wanted = ", ".join(f"{name} {layout.fields[name].show(value)}" for name, value in self.fields.items())
        return board, Effect(Will.READ, f"compares {wanted}", acts=acts)

    def execute(self, context: Context) -> Result:
        """Read and compare; a chip that refuses every read is at RDP level 1, and tells nothing else."""
        context.require_rom(self.keyword)
        layout = context.chip.option_bytes
        if context.is_protected() and not self.needs_open_chip:
            return Result(Outcome.OK, "RDP level-1: reading is refused")
        context.require_readable(self.keyword)
        found = layout.decode(context.option_bytes())
        wrong = [
            f"{name} is {layout.fields[name].show(found[name])}, not {layout.fields[name].show(value)}"
            for name, value in self.fields.items()
            if found[name] != value
        ]
        if wrong:
            raise StepFailed(
                Code.OPTION_BYTES_DIFFER,
                "; ".join(wrong),
                consequence="nothing was changed",
                hint="`set-option-bytes` sets them",
            )
        return Result(Outcome.OK, ", ".join(f"{n} {layout.fields[n].show(v)}" for n, v in self.fields.items()))
