"""What every named fault has: settings that its text gives, occasions that it counts, and a docstring that says its source.

A fault counts its own occasions from when it is made, and is not part of a saved board. The last paragraph of its docstring is
`Source (document): ...`, where `report` in place of `document` is what people saw, and `inference` is to confirm on hardware.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import ClassVar

from dfurun.chips import EarlyPoll, Execution
from dfurun.dfuse.protocol import FIRST_DATA_BLOCK, DfuState, DfuStatus, Request
from dfurun.simulator.fault import Fault, Impostor
from dfurun.simulator.operation import Action
from dfurun.simulator.transfer import Kind, Setup


class ActsOn(StrEnum):
    """What an occasion of a fault is: what `skip` and `count` count.

    TRANSFER: a control transfer of the kinds that the fault concerns. OPERATION: what a stored DNLOAD does. START: a start of
    the bootloader, or the reset or leave that leads to the next. OPENING: opening or claiming the device.
    """

    TRANSFER = "transfer"
    OPERATION = "operation"
    START = "start"
    OPENING = "opening"


class StringKind(StrEnum):
    """What is wrong with a string descriptor; the fault `strings` says what each is."""

    EMPTY = "empty"
    GARBAGE = "garbage"
    CONTROL = "control"
    LONG = "long"
    SIZES = "sizes"
    TRUNCATED = "truncated"
    ODD = "odd"
    UNPAIRED = "unpaired"
    ASCII = "ascii"
    STALL = "stall"


class WhichString(StrEnum):
    """Which string descriptors: LAYOUT is the name of every alternate setting."""

    PRODUCT = "product"
    SERIAL = "serial"
    LAYOUT = "layout"


class Stored(StrEnum):
    """What a host that died had stored in the bootloader."""

    ERASE = "erase"
    MASS_ERASE = "mass-erase"
    WRITE = "write"
    OPTION_BYTES = "option-bytes"
    READ_UNPROTECT = "read-unprotect"


@dataclass(slots=True)
class Settings:
    """What the text of a fault may set.

    None: `count` always, `back_s` never, `actions` every operation it concerns, `at` not by transfers, `page_index` none given,
    `status` the fault's own, `length_bytes` half, `stored` nothing, `which` every string.
    """

    skip: int = 0
    count: int | None = 1
    probability: float = 1.0
    seed: int = 0
    request: str | None = None
    direction: str | None = None
    data_only: bool = False
    at: int | None = None
    back_s: float | None = None
    part: float = 0.5
    later_s: float = 0.0
    execution: Execution = Execution.BACKGROUND
    early_poll: EarlyPoll = EarlyPoll.BUSY
    poll_time_s: float = 0.0
    supply_v: float = 0.0
    actions: tuple[Action, ...] | None = None
    uploads: bool = False
    getstate: bool = False
    status: DfuStatus | None = None
    state: DfuState = DfuState.ERROR
    stored: Stored | None = None
    page_index: int | None = None
    length_bytes: int | None = None
    alignment_bytes: int = 0
    impostor: Impostor = Impostor.ANOTHER_BOARD
    string: StringKind = StringKind.EMPTY
    which: WhichString | None = None


class NamedFault(Fault):
    """A fault with a name and settings, which knows when it is its turn. `needs` are the keys it cannot do without."""

    acts_on: ClassVar[ActsOn]
    keys: ClassVar[frozenset[str]] = frozenset({"skip", "count", "p", "seed"})
    needs: ClassVar[Mapping[str, str]] = MappingProxyType({})  # each with an example
    defaults: ClassVar[Settings] = Settings()
    operations: ClassVar[tuple[str, ...]] = ()  # what `for=` takes where that is not every operation
    unset: ClassVar[Mapping[str, str]] = MappingProxyType(
        {}
    )  # what it means that a key is not given, where it is special
    transient: ClassVar[bool] = False  # one transfer or its answer goes wrong, and the next may not

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._random = random.Random(settings.seed)
        self._to_skip = settings.skip
        self._left = settings.count

    @classmethod
    def objection(cls, settings: Settings) -> str | None:
        """Return what is wrong with settings that do not go together, or None."""
        del settings
        return None

    def concerns(self, setup: Setup) -> bool:
        """Say whether a transient fault can act on this transfer, or on what it begins."""
        del setup
        return True

    def _fires(self) -> bool:
        """Say whether this occasion is one on which the fault acts."""
        if self._left == 0:
            return False
        if self._to_skip:
            self._to_skip -= 1
            return False
        if self._random.random() >= self.settings.probability:
            return False
        if self._left is not None:
            self._left -= 1
        return True

    def _means(self, action: Action, concerned: tuple[Action, ...] | None = None) -> bool:
        """Say whether `for=` names this operation; without it, whether it is one of those that the fault concerns."""
        meant = concerned if self.settings.actions is None else self.settings.actions
        return meant is None or action in meant


def is_request(setup: Setup, request: Request) -> bool:
    """Say whether the transfer is this request of DFU."""
    return setup.kind is Kind.CLASS and setup.request == request


def moves_memory(setup: Setup) -> bool:
    """Say whether the transfer is a block of memory and not a command."""
    moves = is_request(setup, Request.DNLOAD) or is_request(setup, Request.UPLOAD)
    return moves and setup.value >= FIRST_DATA_BLOCK


def uploads_memory(setup: Setup) -> bool:
    """Say whether the transfer reads a block of memory."""
    return is_request(setup, Request.UPLOAD) and moves_memory(setup)


def flipped(data: bytes, chance: random.Random) -> bytes:
    """Return `data` with one bit, picked at random, the other way round."""
    bit = chance.randrange(len(data) * 8)
    damaged = bytearray(data)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)
