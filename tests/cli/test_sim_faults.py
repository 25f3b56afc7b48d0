"""`dfurun sim faults`: what can be asked for with --sim-fault, and where that is known from."""

from __future__ import annotations

from command_line import Dfurun

from dfurun.simulator import FAULTS


def test_every_fault_is_listed_with_its_keys_and_its_source(dfurun: Dfurun) -> None:
    done = dfurun("sim", "faults")
    assert done.exit == 0
    names = [line.split()[0] for line in done.out.splitlines() if line and not line.startswith((" ", "Every"))]
    assert names == list(FAULTS)
    assert "at=N (0); back=SECONDS (never)" in done.out
    assert done.out.count("documented: ") + done.out.count("reported: ") + done.out.count("to confirm on") >= len(
        FAULTS
    )


def test_one_fault_is_shown_whole(dfurun: Dfurun) -> None:
    done = dfurun("sim", "faults", "leftover")
    assert done.exit == 0
    for words in (
        "The next GETSTATUS in dfuDNLOAD-SYNC executes what is stored",
        "--sim-fault leftover:state=dfuDNLOAD-SYNC",
        "erase|mass-erase|write|option-bytes|read-unprotect (nothing)",
        "documented: AN3156 section 3",
    ):
        assert words in done.out


def test_a_program_gets_every_fault_as_json(dfurun: Dfurun) -> None:
    done = dfurun("sim", "faults", "--json")
    faults = [event for event in done.lines if event["event"] == "fault"]
    assert [fault["name"] for fault in faults] == list(FAULTS)
    (stall,) = (fault for fault in faults if fault["name"] == "stall")
    assert stall["acts_on"] == "transfer"
    assert {"name": "direction", "takes": "in|out", "default": "either"} in stall["keys"]
    (held,) = (fault for fault in faults if fault["name"] == "execution")
    assert {"name": "mode", "takes": "background|held|inside", "default": None} in held["keys"]


def test_a_fault_that_there_is_not_is_wrong_usage(dfurun: Dfurun) -> None:
    done = dfurun("sim", "faults", "wegde")
    assert done.exit == 2
    assert "no fault is called 'wegde'" in done.err
    assert "did you mean 'wedge'?" in done.err
    assert "`dfurun sim faults` lists all faults" in dfurun("sim", "faults", "qqq").err
