"""A client that is broken on purpose breaks the fault matrix: each test takes one safeguard away."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from dfurun.dfuse.channel import Channel
from dfurun.dfuse.link import Garbled, Stalled, TimedOut
from dfurun.dfuse.protocol import DfuState
from dfurun.matrix import KINDS, CleanRunFailed, Invariant, fault_matrix
from dfurun.steps.event import Outcome
from dfurun.steps.set_option_bytes import SetOptionBytes
from dfurun.steps.step import Result
from dfurun.steps.verify import Verify

SAMPLE = 60


def broken_by(recipe: Path, *kinds: str, most: int = SAMPLE) -> set[Invariant]:
    """Return the promises that faults of these kinds break."""
    tried = [kind for kind in KINDS if kind.name in kinds]
    assert {kind.name for kind in tried} == set(kinds)
    matrix = fault_matrix(recipe, kinds=tried, most=most, jobs=1)
    return {breach.invariant for trial in matrix.broken for breach in trial.breaches}


@pytest.fixture
def release(recipes: Path) -> Path:
    return recipes / "f072-release.yaml"


@pytest.fixture
def protect(recipes: Path) -> Path:
    return recipes / "f072-protect.yaml"


@pytest.mark.parametrize(
    "kinds",
    [["stall"], ["false errVENDOR"], ["left with a command stored"], ["lost block"], ["disconnect, back in 1 s"]],
    ids=lambda kinds: kinds[0],
)
def test_the_client_as_it_is_breaks_none(protect: Path, release: Path, kinds: Sequence[str]) -> None:
    assert broken_by(release, *kinds) == set()
    assert broken_by(protect, *kinds) == set()


def test_one_that_repeats_nothing_after_a_stall(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("channel", "session", "waiting"):
        monkeypatch.setattr(f"dfurun.dfuse.{module}.Transient", (TimedOut, Garbled))
    assert Invariant.ONE_RUN in broken_by(release, "stall")


def test_one_that_calls_a_chip_protected_after_one_errvendor(protect: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dfurun.dfuse.protection.PROOFS_NEEDED", 1)
    monkeypatch.setattr("dfurun.dfuse.protection.ADDRESSES_NEEDED", 1)
    assert broken_by(protect, "false errVENDOR") >= {Invariant.HONEST, Invariant.ONE_RUN}


def test_one_that_unprotects_on_the_word_of_connect_alone(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One errVENDOR is trusted and not asked for again: 0x92 goes to a board that is open."""
    monkeypatch.setattr("dfurun.dfuse.protection.PROOFS_NEEDED", 1)
    monkeypatch.setattr("dfurun.dfuse.protection.ADDRESSES_NEEDED", 1)
    monkeypatch.setattr("dfurun.steps.context.Context.is_protected_again", lambda context: context.is_protected())
    assert Invariant.JUSTIFIED in broken_by(release, "false errVENDOR")


def test_one_that_asks_getstatus_at_first_contact(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next GETSTATUS executes what a dead run has left stored, a mass erase for one."""

    def state(channel: Channel) -> DfuState | None:
        try:
            return channel.poll().state
        except (Stalled, TimedOut, Garbled):
            return None

    monkeypatch.setattr(Channel, "_state", state)
    assert Invariant.JUSTIFIED in broken_by(release, "left with a command stored")


def test_one_that_does_not_read_back_what_it_wrote(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Verify, "execute", lambda verify, context: Result(Outcome.OK, "taken for granted"))
    assert Invariant.TRUE_SUCCESS in broken_by(release, "lost block")


def test_one_that_does_not_read_back_option_bytes(recipes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def taken_for_granted(*_: Any) -> Result:
        return Result(Outcome.CHANGED, "taken for granted")

    monkeypatch.setattr(SetOptionBytes, "_read_back", taken_for_granted)
    recipe = recipes / "f072-protect.yaml"
    assert Invariant.TRUE_SUCCESS in broken_by(recipe, "disconnect, back in 1 s", most=400)


def test_one_that_clears_a_reserved_bit(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even without a fault, on every board that is tried."""
    target = SetOptionBytes._target

    def with_a_bit_cleared(step: SetOptionBytes, before: bytes) -> bytes:
        return step.chip.option_bytes.encode(target(step, before), {"RAM_PARITY_CHECK": 0})

    monkeypatch.setattr(SetOptionBytes, "_target", with_a_bit_cleared)
    with pytest.raises(CleanRunFailed, match=r"the option bytes are .*bf40.*, not"):
        fault_matrix(release, most=1, jobs=1)


def test_one_that_never_regains_a_board(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dfurun.steps.context.REGAINS_A_STEP", 0)
    assert Invariant.ONE_RUN in broken_by(release, "disconnect, back in 1 s")


def test_one_that_believes_an_erase(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dfurun.steps.mass_erase.first_block_is_blank", lambda context, page: True)
    assert Invariant.TRUE_SUCCESS in broken_by(release, "lost erase")


def test_one_that_waits_for_ever(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that honours 4.6 hours of a bogus bwPollTimeout is ended by the matrix's own clock."""
    monkeypatch.setattr("dfurun.dfuse.waiting.min", lambda *values: max(values), raising=False)
    assert Invariant.ENDS in broken_by(release, "wrong poll time")
