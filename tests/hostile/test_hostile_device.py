"""A whole run against a device that answers whatever it likes: it ends with a documented status, soon, without a traceback."""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from bench import run_on
from hypothesis import given
from hypothesis import strategies as st

from dfurun.chips import load_chip
from dfurun.clock import VirtualClock
from dfurun.dfuse.protocol import DfuState, DfuStatus, Request, StatusReport
from dfurun.errors import ExitStatus
from dfurun.simulator import SimulatedBoard
from dfurun.simulator.fault import Fault, Moment
from dfurun.simulator.transfer import Babble, BusError, Kind, NoAnswer, Stall

RECIPES = Path(__file__).parents[2] / "recipes"
LONGEST_S = 3600.0
MOST_TRANSFERS = 60_000
RUN = ["f072-release.yaml", "f072-unprotect.yaml", "f072-repair-boot.yaml", "f072-protect.yaml", "f042-release.yaml"]
CHIPS = {"f072": "stm32f072xb", "f042": "stm32f042x6"}


@dataclass
class Lying(Fault):
    """Answers a share of requests by what its random numbers say: nonsense, another state, too much, too little, nothing."""

    seed: int
    share: float
    requests: frozenset[Request]
    spared: int = 0  # transfers before the first lie
    name = "lying"
    random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def before(self, moment: Moment) -> bytes | None:
        setup = moment.setup
        if setup.kind is not Kind.CLASS or setup.request not in self.requests:
            return None
        self.spared -= 1
        if self.spared >= 0 or self.random.random() >= self.share:
            return None
        if not setup.is_in:
            raise self.random.choice([Stall, NoAnswer, BusError])
        match self.random.randrange(8):
            case 0:
                raise self.random.choice([Stall, NoAnswer, BusError, Babble])
            case 1:
                return self.random.randbytes(self.random.randrange(setup.length + 1))
            case 2:
                return b""
            case 3:
                return self.random.randbytes(setup.length)
            case _ if setup.request == Request.GETSTATE:
                return bytes([self.random.choice(list(DfuState))])
            case _ if setup.request == Request.GETSTATUS:
                poll_s = self.random.choice([0, 0.001, 0.1, 5, 16777.215])
                status = self.random.choice(list(DfuStatus))
                return StatusReport(status, poll_s, self.random.choice(list(DfuState))).pack()
        return bytes(setup.length)


def run(tmp_path_factory: pytest.TempPathFactory, recipe: str, board: SimulatedBoard) -> tuple[ExitStatus, list[str]]:
    folder = tmp_path_factory.mktemp("lying")
    try:
        finished, messages = run_on(board, RECIPES / recipe, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    assert board.clock.now() < LONGEST_S
    assert sum(board.transfers.values()) < MOST_TRANSFERS
    status = ExitStatus(finished.exit_status)
    assert status not in (ExitStatus.BUG, ExitStatus.USAGE, ExitStatus.INVALID)
    if status is not ExitStatus.DONE:
        assert finished.message
        assert finished.consequence
    return status, messages


@given(
    st.integers(0, 1 << 32),
    st.sampled_from([0.02, 0.2, 0.5, 0.9, 1.0]),
    st.frozensets(st.sampled_from(list(Request)), min_size=1),
    st.integers(0, 120),
    st.sampled_from(RUN),
    st.sampled_from([0, 1]),
)
def test_a_device_that_lies_ends_the_run_with_words(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    share: float,
    requests: frozenset[Request],
    spared: int,
    recipe: str,
    protection: int,
) -> None:
    board = SimulatedBoard(load_chip(CHIPS[recipe[:4]]), VirtualClock())
    if protection:
        board.protect(protection)
    board.afflict([Lying(seed, share, requests, spared)])
    run(tmp_path_factory, recipe, board)


@pytest.mark.parametrize("state", list(DfuState))
@pytest.mark.parametrize("status", [DfuStatus.OK, DfuStatus.ERR_VENDOR, DfuStatus.ERR_TARGET, DfuStatus.ERR_STALLEDPKT])
def test_a_device_that_always_says_the_same_never_passes(
    tmp_path_factory: pytest.TempPathFactory, state: DfuState, status: DfuStatus
) -> None:
    class Stubborn(Fault):
        name = "stubborn"

        def before(self, moment: Moment) -> bytes | None:
            if moment.setup.kind is not Kind.CLASS or not moment.setup.is_in:
                return None
            match moment.setup.request:
                case Request.GETSTATUS:
                    return StatusReport(status, 16777.215, state).pack()
                case Request.GETSTATE:
                    return bytes([state])
            return bytes(moment.setup.length)

    board = SimulatedBoard(load_chip("stm32f072xb"), VirtualClock())
    board.afflict([Stubborn()])
    found, _ = run(tmp_path_factory, "f072-release.yaml", board)
    assert found is not ExitStatus.DONE
