"""A client that is broken on purpose breaks the fault matrix: each test takes one safeguard away."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from dfurun.dfuse.channel import Channel
from dfurun.dfuse.link import Garbled, Stalled, TimedOut
from dfurun.dfuse.protocol import DfuState
from dfurun.dfuse.session import Session
from dfurun.errors import Code, DfurunError, StepFailed
from dfurun.image import Piece
from dfurun.matrix import KINDS, CleanRunFailed, Invariant, fault_matrix
from dfurun.run.interpreter import Unit
from dfurun.run.journal import UnitJournal
from dfurun.steps.check_option_bytes import CheckOptionBytes
from dfurun.steps.context import Context
from dfurun.steps.event import Outcome
from dfurun.steps.flashing import pages_of
from dfurun.steps.read import Read
from dfurun.steps.set_option_bytes import SetOptionBytes, Writing
from dfurun.steps.step import Result
from dfurun.steps.verify import Verify
from dfurun.steps.wait_for_power_cycle import WaitForPowerCycle
from dfurun.steps.write import Write

SAMPLE = 60
RecipeWith = Callable[..., Path]


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


@pytest.fixture
def recipe_with(tmp_path: Path) -> RecipeWith:
    """Return what makes a recipe with these steps, and an image that ends within a page; with `vectors` it is a program."""

    def make(*steps: str, size: int = 256, vectors: bool = False, expect: str = "") -> Path:
        table = bytes.fromhex("00400020 01090008") if vectors else b""
        (tmp_path / "a.bin").write_bytes((table + bytes(range(256)) * -(-size // 256))[:size])
        lines = ["dfurun: 1", "name: a", "chip: stm32f072xb", "images: {a: {file: a.bin, address: 0x08000800}}"]
        lines += [f"expect: {{{expect}}}"] if expect else []
        recipe = tmp_path / "recipe.yaml"
        body = [f"  - {step}" for step in ("connect", *steps)]
        recipe.write_text("\n".join([*lines, "steps:", *body]) + "\n", encoding="utf-8")
        return recipe

    return make


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


def test_one_that_keeps_no_copy_of_what_it_takes_out_of_a_page(
    recipe_with: RecipeWith, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the board held beside the image is in no flash and in no file; the second run finds nothing missing."""
    recipe = recipe_with("write: {image: a, mode: changed}", "verify: {image: a}")
    assert broken_by(recipe, "disconnect") == set()
    monkeypatch.setattr(Context, "holding", hold_nothing)
    assert broken_by(recipe, "disconnect") == {Invariant.CONVERGES}


@contextmanager
def hold_nothing(context: Context, piece: Piece | None) -> Iterator[None]:
    yield


def test_one_that_wipes_option_bytes_nobody_named(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def from_factory(step: SetOptionBytes, before: bytes) -> bytes:
        layout = step.chip.option_bytes
        return layout.encode(layout.factory, step.fields)

    monkeypatch.setattr(SetOptionBytes, "_target", from_factory)
    with pytest.raises(CleanRunFailed, match=r"the option bytes are .*, not"):
        fault_matrix(release, most=1, jobs=1)


def test_one_that_fails_after_a_run_that_failed(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would do so on a board that is right as well."""
    bind = Unit._bind

    def resentful(unit: Unit, name: str) -> None:
        path = unit.journal.path_of(name)
        failed = path.exists() and '"failed"' in path.read_text(encoding="utf-8")
        bind(unit, name)
        if failed:
            raise StepFailed(Code.STEP_FAILED, "the last run failed", consequence="nothing was written")

    monkeypatch.setattr(Unit, "_bind", resentful)
    assert broken_by(release, "disconnect") >= {Invariant.CONVERGES}


def test_one_whose_second_run_always_fails(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bind = Unit._bind

    def once(unit: Unit, name: str) -> None:
        is_first = not unit.journal.path_of(name).exists()
        bind(unit, name)
        if not is_first:
            raise StepFailed(Code.STEP_FAILED, "this port was used", consequence="nothing was written")

    monkeypatch.setattr(Unit, "_bind", once)
    with pytest.raises(CleanRunFailed, match="does not pass a second time"):
        fault_matrix(release, most=1, jobs=1)


@pytest.mark.parametrize("saved", [b"", bytes(0x800)], ids=["nothing", "zeros"])
def test_one_that_saves_something_else(recipe_with: RecipeWith, monkeypatch: pytest.MonkeyPatch, saved: bytes) -> None:
    recipe = recipe_with("read: {range: 0x08000000+2K, file: backup.bin}")

    def wrong(path: Path, data: bytes, *, overwrite: bool) -> bool:
        path.write_bytes(saved)
        return True

    assert broken_by(recipe, "stall") == set()
    monkeypatch.setattr("dfurun.steps.read.save", wrong)
    with pytest.raises(CleanRunFailed, match=r"no file holds what 0x08000000..0x080007FF held"):
        fault_matrix(recipe, most=1, jobs=1)


def test_one_that_saves_before_it_has_read_all(recipe_with: RecipeWith, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that fails leaves a file that looks like a backup."""
    recipe = recipe_with("read: {range: 0x08000000+16K, file: backup.bin}")

    def early(path: Path, size_bytes: int, *, overwrite: bool) -> None:
        path.write_bytes(bytes(size_bytes))

    assert broken_by(recipe, "disconnect") == set()
    monkeypatch.setattr("dfurun.steps.read.reserve", early)
    monkeypatch.setattr("dfurun.steps.read.save", lambda path, data, *, overwrite: bool(path.write_bytes(data)))
    assert broken_by(recipe, "disconnect") == {Invariant.NEVER_HALF}


def test_one_that_does_not_wait_for_a_power_cycle(recipe_with: RecipeWith, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = recipe_with("wait-for-power-cycle: {boot0: 1}", "check-option-bytes: {fields: {RDP: level-0}}")

    def at_once(step: WaitForPowerCycle, context: Context) -> Result:
        return step._seen()

    assert broken_by(recipe, "stall") == set()
    monkeypatch.setattr(WaitForPowerCycle, "execute", at_once)
    with pytest.raises(CleanRunFailed, match="nobody power-cycled the board in wait-for-power-cycle"):
        fault_matrix(recipe, most=1, jobs=1)


def test_one_that_programs_beside_the_image_in_a_run_that_fails(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second run mends it, so that only what was executed shows it."""
    resume = Write.resume

    def beyond(step: Write, context: Context) -> Result:
        last = context.chip.flash.page(context.chip.flash.page_count - 1)
        context.session.write(last.start, bytes(8))
        resume(step, context)
        raise StepFailed(Code.STEP_FAILED, "after all", consequence="the flash is written in part")

    monkeypatch.setattr(Write, "resume", beyond)
    assert Invariant.JUSTIFIED in broken_by(release, "disconnect, back in 1 s", most=400)


def test_one_that_writes_option_bytes_in_another_step(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there is written once more: the board is the same, and could be lost in between."""
    execute = Verify.execute

    def refreshed(step: Verify, context: Context) -> Result:
        raw = context.option_bytes()
        with suppress(DfurunError):
            context.follow_reset(context.session.write_option_bytes(context.chip.option_bytes.blocks[0], raw))
        return execute(step, context)

    monkeypatch.setattr(Verify, "execute", refreshed)
    with pytest.raises(CleanRunFailed, match="option bytes were written in verify"):
        fault_matrix(release, most=1, jobs=1)


def test_one_that_sends_option_bytes_that_are_there_already(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each write of option bytes is one that a power cut can tear."""

    def always(step: SetOptionBytes, context: Context) -> Result:
        before = context.option_bytes()
        return step._write(context, Writing(before, step._target(before), "written"))

    monkeypatch.setattr(SetOptionBytes, "execute", always)
    with pytest.raises(CleanRunFailed, match="write-option-bytes changed nothing, in set-option-bytes"):
        fault_matrix(release, most=1, jobs=1)


@pytest.mark.parametrize(
    ("step", "target", "broken"),
    [
        (
            "erase: {pages: 2-5, mode: needed}",
            "dfurun.steps.erase.blank_pages",
            lambda _, pages: dict.fromkeys(pages, False),
        ),
        (
            "write: {image: a, mode: changed}",
            "dfurun.steps.write.changed_pages",
            lambda context, memory: pages_of(context.chip.flash, memory),
        ),
    ],
    ids=["erase needed", "write changed"],
)
def test_one_that_erases_what_need_not_be(
    recipe_with: RecipeWith, monkeypatch: pytest.MonkeyPatch, step: str, target: str, broken: Any
) -> None:
    recipe = recipe_with(step, size=0x900)
    assert broken_by(recipe, "stall") == set()
    monkeypatch.setattr(target, broken)
    with pytest.raises(CleanRunFailed, match="erase-page changed nothing"):
        fault_matrix(recipe, most=1, jobs=1)


def test_one_that_checks_no_option_bytes(recipe_with: RecipeWith, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = recipe_with("check-option-bytes: {fields: {nRST_STOP: 1}}")
    assert broken_by(recipe, "stall") == set()
    monkeypatch.setattr(CheckOptionBytes, "execute", lambda step, context: Result(Outcome.OK, "as they should be"))
    with pytest.raises(CleanRunFailed, match="asks for 1 has to be refused, and passes"):
        fault_matrix(recipe, most=1, jobs=1)


def test_one_that_takes_any_board_for_the_one_expected(
    recipe_with: RecipeWith, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_with("mass-erase", expect="unique-id: [0102030405060708090A0B0C]")
    assert broken_by(recipe, "stall") == set()
    monkeypatch.setattr("dfurun.steps.connect.check_identity", lambda context: None)
    with pytest.raises(CleanRunFailed, match="a board with another unique id has to be refused"):
        fault_matrix(recipe, most=1, jobs=1)


def test_one_that_starts_another_program(recipe_with: RecipeWith, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is at the start of the flash is other firmware, which starts as well."""
    recipe = recipe_with(
        "write: {image: a, mode: changed}", "verify: {image: a}", "leave-dfu: {address: 0x08000800}", vectors=True
    )
    assert broken_by(recipe, "stall") == set()
    leave = Session.leave
    monkeypatch.setattr(Session, "leave", lambda session, entry: leave(session, 0x0800_0000))
    with pytest.raises(CleanRunFailed, match="what was started is not what is at 0x08000800"):
        fault_matrix(recipe, most=1, jobs=1)


def test_one_that_writes_the_vector_table_first(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert broken_by(release, "disconnect", most=300) == set()
    monkeypatch.setattr("dfurun.steps.flashing.vector_page", lambda flash, memory: max(pages_of(flash, memory)))
    assert Invariant.NEVER_BOOTS_HALF in broken_by(release, "disconnect", most=300)


def test_one_that_leaves_copies_of_pages_behind(recipe_with: RecipeWith, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = recipe_with("write: {image: a, mode: changed}", "verify: {image: a}")
    monkeypatch.setattr(UnitJournal, "let_go", lambda journal, file: None)
    with pytest.raises(CleanRunFailed, match="a copy of a page is kept that is back in the flash"):
        fault_matrix(recipe, most=1, jobs=1)


def test_one_that_journals_nothing_before_it_destroys(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(UnitJournal, "before_destruction", lambda journal, entry, **details: None)
    with pytest.raises(CleanRunFailed, match="erase-all was executed in mass-erase, and the journal has it not"):
        fault_matrix(release, most=1, jobs=1)


def test_one_that_swaps_two_backups(recipe_with: RecipeWith, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = recipe_with("read: {range: 0x08000000+2K, file: a.out}", "read: {range: 0x08000800+2K, file: b.out}")
    assert broken_by(recipe, "stall") == set()
    swapped = {"a.out": Path("b.out"), "b.out": Path("a.out")}
    monkeypatch.setattr(Read, "_file", lambda step, context: swapped[step.file])
    with pytest.raises(CleanRunFailed, match="no file holds what"):
        fault_matrix(recipe, most=1, jobs=1)


def test_one_that_regains_a_board_once_a_step(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert broken_by(release, "disconnect, three times") == set()
    monkeypatch.setattr("dfurun.steps.context.REGAINS_A_STEP", 1)
    assert Invariant.ONE_RUN in broken_by(release, "disconnect, three times")


def test_one_that_takes_a_right_board_for_a_wrong_one_when_it_is_run_again(
    recipe_with: RecipeWith, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipe_with("set-option-bytes: {fields: {nRST_STOP: 0}}")
    execute = SetOptionBytes.execute

    def suspicious(step: SetOptionBytes, context: Context) -> Result:
        if context.option_bytes() == step._target(context.option_bytes()):
            raise StepFailed(Code.OPTION_BYTES_DIFFER, "as named already", consequence="nothing was written")
        return execute(step, context)

    monkeypatch.setattr(SetOptionBytes, "execute", suspicious)
    with pytest.raises(CleanRunFailed, match="does not pass a second time"):
        fault_matrix(recipe, most=1, jobs=1)
