"""The fault `mix`: everything that is transient, at random, the same on every run."""

from __future__ import annotations

import re
from collections import Counter

from simulated_bench import APPLICATION, FLASH, Bench

from dfurun.dfuse.protocol import DfuState, set_address_payload
from dfurun.simulator import FAULTS, parse_fault
from dfurun.simulator.transfer import TransferFailure

ROUNDS = 400


def what_is_met(text: str) -> list[str]:
    """Return what each transfer of many reads comes to; the device itself is brought back by hands."""
    bench = Bench(flash=APPLICATION)
    bench.board.afflict([parse_fault(text)])
    met = []
    for _ in range(ROUNDS):
        for act in (
            lambda: bench.dnload(0, set_address_payload(FLASH)),
            lambda: str(bench.status()),
            lambda: str(bench.status()),
            bench.abort,
            lambda: bench.upload(2, 64),
        ):
            try:
                answer = act()
            except TransferFailure as failure:
                met.append(failure.label)
                continue
            if isinstance(answer, bytes):
                met.append("good" if answer == APPLICATION[:64] else "short" if len(answer) < 64 else "corrupt")
            else:
                met.append(answer or "ok")
        bench.board.bootloader.bus_reset()  # type: ignore[union-attr]
    return met


def test_a_mix_meets_every_way_in_which_a_transfer_or_its_answer_fails() -> None:
    met = Counter(what_is_met("mix:seed=1,p=0.5"))
    assert {"STALL", "timeout", "I/O error", "overflow", "short", "corrupt"} <= set(met)
    assert met["dfuERROR, errTARGET"], "false-errtarget"
    assert met["dfuDNBUSY, OK"] > ROUNDS * 0.5, "missed-service among them"


def test_a_mix_is_the_same_on_every_run_and_another_by_another_seed() -> None:
    first = what_is_met("mix:seed=1,p=0.2")
    assert first == what_is_met("mix:seed=1,p=0.2")
    assert first != what_is_met("mix:seed=2,p=0.2")


def test_a_mix_of_none_is_none() -> None:
    assert what_is_met("mix:seed=1,p=0") == what_is_met("mix:count=1,skip=1000000")
    assert set(what_is_met("mix:seed=1,p=0")) == {"ok", "dfuDNBUSY, OK", "dfuDNLOAD-IDLE, OK", "good"}


def test_a_mix_is_rare_where_nothing_is_said() -> None:
    usual = {"ok", "dfuDNBUSY, OK", "dfuDNLOAD-IDLE, OK", "good"}
    met = what_is_met("mix:seed=1")
    unusual = sum(what not in usual for what in met)
    assert 0 < unusual < 0.05 * len(met)


def test_a_mix_is_of_all_faults_that_are_transient_and_of_no_other() -> None:
    transient = {name for name, kind in FAULTS.items() if kind.transient}
    assert transient <= set(re.findall(r"[a-z][a-z-]+[a-z]", FAULTS["mix"].__doc__ or "")), "its docstring names them"
    assert transient == {
        "stall", "timeout", "io-error", "lost-reply", "overflow", "false-errvendor", "false-errtarget", "missed-service",
        "corrupt-upload", "short-upload",
    }  # fmt: skip


def test_a_mix_composes_with_other_faults() -> None:
    bench = Bench(flash=APPLICATION)
    bench.board.afflict([parse_fault("mix:seed=3,p=0.5"), parse_fault("leftover:state=dfuUPLOAD-IDLE")])
    states = set()
    for _ in range(50):
        try:
            states.add(bench.state())
        except TransferFailure:
            continue
    assert states == {DfuState.UPLOAD_IDLE}
