"""Is the chip read-protected? A verdict from evidence, never from one error.

One full-length UPLOAD of main flash disproves protection. Proof needs three fresh attempts in a row, on two addresses, that
all end in dfuERROR with errVENDOR, while Get Commands (which a protected ROM still answers) works. Everything else is an
unreliable link, and is called so.

# Ref: AN3156 rev 18 (reads are refused whatever the target); AN2606 table 42 (why one errVENDOR proves nothing).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from dfurun.chips import Chip
from dfurun.dfuse.channel import HUB_ADVICE
from dfurun.dfuse.protocol import DfuState, DfuStatus, StatusReport
from dfurun.errors import Code, LinkUnreliable
from dfurun.units import format_address

PROBE_LENGTH = 64
PROOFS_NEEDED = 3
ADDRESSES_NEEDED = 2
ATTEMPTS = 12


class Verdict(Enum):
    """What the evidence says."""

    UNPROTECTED = "not protected"
    PROTECTED = "read-protected"
    UNDETERMINED = "cannot be told: the link is unreliable"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one attempt to read came to: a full read, a short one, or an error with the ROM's report of it."""

    address: int
    request: str
    report: StatusReport | None
    full_length: bool | None

    @property
    def says_protected(self) -> bool:
        """Whether this is dfuERROR with errVENDOR."""
        report = self.report
        return report is not None and report.state is DfuState.ERROR and report.status is DfuStatus.ERR_VENDOR

    def __str__(self) -> str:
        where = f"{format_address(self.address)}: {self.request}"
        if self.full_length is not None:
            return f"{where}, {'read' if self.full_length else 'short answer'}"
        return f"{where}, {self.report}" if self.report else where


@dataclass(frozen=True, slots=True)
class Protection:
    """The verdict and what it rests on."""

    verdict: Verdict
    answers: tuple[Answer, ...]
    commands_work: bool | None = None

    def require_verdict(self) -> None:
        """Raise LinkUnreliable where the evidence allows no verdict: an error is never taken for read protection."""
        if self.verdict is Verdict.UNDETERMINED:
            raise LinkUnreliable(
                Code.LINK_UNRELIABLE,
                "the board cannot be read, and not because it is protected: the link is unreliable",
                consequence="nothing was written; an error is never taken for read protection",
                hint=HUB_ADVICE,
                evidence=self.evidence,
            )

    @property
    def evidence(self) -> tuple[str, ...]:
        """The attempts, a line each."""
        lines = [str(answer) for answer in self.answers]
        if self.commands_work is not None:
            lines.append("Get Commands: " + ("answered" if self.commands_work else "not answered"))
        return tuple(lines)


def judge(chip: Chip, probe: Callable[[int], Answer], commands: Callable[[], tuple[int, ...]]) -> Protection:
    """Return the verdict, after at most twelve probes in turn on the addresses that the chip data names.

    `probe` makes one fresh attempt to read; `commands` is Get Commands and raises ConnectionError where it is not answered.
    """
    answers: list[Answer] = []
    proofs: list[Answer] = []
    for attempt in range(ATTEMPTS):
        address = chip.protection_probes[attempt % len(chip.protection_probes)]
        answer = probe(address)
        answers.append(answer)
        if answer.full_length and chip.flash.extent.start <= address < chip.flash.extent.end:
            return Protection(Verdict.UNPROTECTED, tuple(answers))
        proofs = [*proofs, answer] if answer.says_protected else []
        if len(proofs) >= PROOFS_NEEDED and len({proof.address for proof in proofs}) >= ADDRESSES_NEEDED:
            works = _works(commands)
            verdict = Verdict.PROTECTED if works else Verdict.UNDETERMINED
            return Protection(verdict, tuple(answers), commands_work=works)
    return Protection(Verdict.UNDETERMINED, tuple(answers))


def _works(commands: Callable[[], tuple[int, ...]]) -> bool:
    try:
        return bool(commands())
    except ConnectionError:
        return False
