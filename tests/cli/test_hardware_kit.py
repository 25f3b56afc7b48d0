"""The recipes for a board's owner, on the simulated board: each ends as docs/hardware.md and its own first lines say."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from command_line import ROOT, Dfurun, Finished

from dfurun.chips import Chip, load_chip
from dfurun.chips.index import entries
from dfurun.clock import VirtualClock
from dfurun.dfuse.protocol import (
    FIRST_DATA_BLOCK,
    REQUEST_TYPE_IN,
    REQUEST_TYPE_OUT,
    STATUS_LENGTH,
    DfuState,
    Request,
    StatusReport,
    erase_page_payload,
    mass_erase_payload,
    set_address_payload,
)
from dfurun.simulator import SimulatedBoard, StateFile
from dfurun.simulator.catalogue import FaultEntry, catalogue
from dfurun.simulator.transfer import Setup

KIT = sorted((ROOT / "recipes" / "hardware-kit").glob("*.yaml"))
HARDWARE = ROOT / "docs" / "hardware.md"
OWNERS_FIRMWARE = bytes(range(256))
CHIPS = {"f072": "stm32f072xb", "f042": "stm32f042x6", "f405": "stm32f405xg"}
FILLED_BY_THE_FIRST_PART = {"f072": 0x0801_E800, "f405": 0x080D_F000}
PROTECTED = {"f072": 0x0801_F000, "f405": 0x080E_0000}
CHANGES_NOTHING = {"look", "write-protect-look"}
KEEPS_FLASH = CHANGES_NOTHING | {"option-bytes", "write-protect-off", "boot-bits", "boot-bits-back"}
LEAVES_OPTION_BYTES_CHANGED = {"protect", "write-protect", "boot-bits"}
BEGINS_WHERE_ANOTHER_ENDED = {
    "write-protect-look": "write-protect",
    "write-protect-off": "write-protect",
    "boot-bits-back": "boot-bits",
}
FAILS_AS_PREDICTED = {"empty": "still-in-dfu", "boot-bits": "still-in-dfu"}

every_recipe = pytest.mark.parametrize("recipe", KIT, ids=lambda path: path.stem)


@dataclass(frozen=True)
class Owner:
    """Somebody with one board, who runs recipes of the kit on it."""

    dfurun: Dfurun
    folder: Path
    family: str

    @property
    def board_file(self) -> Path:
        return self.folder / "board.json"

    @property
    def chip(self) -> Chip:
        return load_chip(CHIPS[self.family])

    def begin(self, *, reload: str | None = None) -> None:
        board = SimulatedBoard(self.chip, VirtualClock(), flash=OWNERS_FIRMWARE, option_reload=reload)
        StateFile(self.board_file).keep(board)

    def run(self, experiment: str) -> Finished:
        recipe = ROOT / "recipes" / "hardware-kit" / f"{self.family}-{experiment}.yaml"
        return self.dfurun(recipe, "--sim-state", self.board_file, "--sim-clock", "virtual", "--record", "kit/")

    def power_cycle(self) -> None:
        self.dfurun("sim", "power-cycle", self.board_file, "--boot0", 1)

    def board(self) -> SimulatedBoard:
        board = StateFile(self.board_file).load(VirtualClock())
        board.clock.sleep(1)
        return board

    def records(self) -> list[dict[str, Any]]:
        found = [json.loads(path.read_text()) for path in sorted((self.folder / "kit").glob("*.json"))]
        return sorted(found, key=lambda record: record["started"])

    def as_dfu_util(self, *commands: tuple[int, bytes]) -> list[StatusReport]:
        """Send commands as another program does, that asks for no option bytes; return what each came to."""
        board = self.board()
        outcomes = []
        board.control(Setup(REQUEST_TYPE_OUT, Request.ABORT, 0, 0, 0))
        for block, data in commands:
            board.control(Setup(REQUEST_TYPE_OUT, Request.DNLOAD, block, 0, len(data)), data)
            for _ in range(3):
                status = Setup(REQUEST_TYPE_IN, Request.GETSTATUS, 0, 0, STATUS_LENGTH)
                report = StatusReport.unpack(board.control(status))
                board.clock.sleep(max(report.poll_timeout_s, 20))
                if report.state is not DfuState.DNBUSY:
                    break
            outcomes.append(report)
        board.control(Setup(REQUEST_TYPE_OUT, Request.ABORT, 0, 0, 0))
        StateFile(self.board_file).keep(board)
        return outcomes


@pytest.fixture
def owner(dfurun: Dfurun, tmp_path: Path, request: pytest.FixtureRequest) -> Owner:
    family = request.node.callspec.params.get("family", "f072")
    if "recipe" in request.node.callspec.params:
        family = request.node.callspec.params["recipe"].stem.partition("-")[0]
    return Owner(dfurun, tmp_path, family)


def experiment_of(recipe: Path) -> str:
    return recipe.stem.partition("-")[2]


@every_recipe
def test_a_recipe_is_checked_without_a_warning_that_is_not_meant(dfurun: Dfurun, recipe: Path) -> None:
    done = dfurun("check", recipe)
    assert done.exit == 0, done.out
    only_looks = recipe.stem.endswith("write-protect-look")
    assert done.codes == ({"verify-unwritten"} if only_looks else set())
    assert not only_looks or "The warning is meant" in recipe.read_text()


@every_recipe
def test_a_recipe_says_first_what_it_asks_what_is_lost_and_where_to_look_or_go_back(recipe: Path) -> None:
    head = recipe.read_text().partition("\ndfurun: 1\n")[0]
    assert re.search(r"^# Loses |ALL FLASH IS LOST|LOSES", head, re.MULTILINE), head
    if not recipe.stem.endswith(("-off", "-back")):
        assert "\n# Asks " in head
        assert "\n# Look " in head or "\n# Back " in head


@every_recipe
def test_a_recipe_ends_as_predicted_and_puts_back_what_it_changed(owner: Owner, recipe: Path) -> None:
    experiment = experiment_of(recipe)
    owner.begin()
    before = owner.board()
    if experiment in BEGINS_WHERE_ANOTHER_ENDED:
        owner.run(BEGINS_WHERE_ANOTHER_ENDED[experiment])
        owner.power_cycle()
        before = owner.board()
    done = owner.run(experiment)
    code = FAILS_AS_PREDICTED.get(experiment)
    assert done.exit == (1 if code else 0), done.err
    assert code is None or code in done.codes
    after = owner.board()
    if experiment in KEEPS_FLASH:
        assert after.flash.contents == before.flash.contents
    factory = owner.chip.option_bytes.effective(owner.chip.option_bytes.factory)
    changed = owner.chip.option_bytes.effective(after.option_bytes.stored) != factory
    if experiment in CHANGES_NOTHING:
        assert after.option_bytes.stored == before.option_bytes.stored
    else:
        assert changed == (experiment in LEAVES_OPTION_BYTES_CHANGED)


@every_recipe
def test_what_a_recipe_will_lose_is_saved_before_it_is_lost(owner: Owner, recipe: Path) -> None:
    experiment = experiment_of(recipe)
    owner.begin()
    owner.run(experiment)
    steps = [step["step"] for step in owner.records()[-1]["steps"]]
    loses = {"mass-erase", "erase", "write"} & set(steps)
    assert bool(loses) == (experiment not in KEEPS_FLASH)
    if not loses:
        return
    assert steps.index("read") < min(map(steps.index, loses))
    saved = [path.read_bytes() for path in (owner.folder / "kit").glob("*.bin")]
    whole = OWNERS_FIRMWARE + b"\xff" * (owner.chip.flash.extent.size_bytes - len(OWNERS_FIRMWARE))
    assert whole in saved


@every_recipe
def test_what_a_recipe_saves_twice_has_the_time_in_its_name_or_is_the_same(recipe: Path) -> None:
    for name in re.findall(r'file: "(kit/.+)"', recipe.read_text()):
        assert "${time}" in name or (experiment_of(recipe) == "look" and "${unique-id}" in name)
        assert name.startswith("kit/private-") or "${unique-id}" in name


@pytest.mark.parametrize(("reload", "refused"), [("power-on", False), ("reset", True)])
def test_when_option_bytes_come_into_force_shows_in_the_step_that_protects(
    dfurun: Dfurun, tmp_path: Path, reload: str, refused: bool
) -> None:
    owner = Owner(dfurun, tmp_path, "f072")
    owner.begin(reload=reload)
    done = owner.run("protect")
    assert done.exit == 0, done.err
    assert ("reading is refused now" in done.err) is refused
    (step,) = (s for s in owner.records()[-1]["steps"] if s["step"] == "set-option-bytes")
    assert ("reading is refused now" in step["detail"]) is refused, "the record that is sent tells as well"


def zeros_into(family: str) -> list[tuple[int, bytes]]:
    """What `dfu-util -s ADDRESS -D zeros.bin` sends for the protected page."""
    address = PROTECTED[family]
    return [(0, erase_page_payload(address)), (0, set_address_payload(address)), (FIRST_DATA_BLOCK, bytes(2048))]


both_families = pytest.mark.parametrize("family", ["f072", "f405"])


@both_families
def test_a_write_to_protected_flash_is_acknowledged_and_the_second_look_passes(owner: Owner, family: str) -> None:
    owner.begin()
    assert owner.run("write-protect").exit == 0
    for commands in (zeros_into(family), [(0, mass_erase_payload())]):
        reports = owner.as_dfu_util(*commands)
        assert {report.state for report in reports} == {DfuState.DNLOAD_IDLE}, "acknowledged"
        assert owner.run("write-protect-look").exit == 0, "and ignored"
    assert owner.run("write-protect-off").exit == 0
    owner.as_dfu_util(*zeros_into(family))
    assert owner.run("write-protect-look").exit == 1, "the look would have seen it"


@both_families
def test_protection_that_is_not_in_force_shows_in_the_second_look_by_its_address(owner: Owner, family: str) -> None:
    owner.begin()
    owner.run("write-protect")
    owner.run("write-protect-off")
    owner.as_dfu_util(*zeros_into(family))
    done = owner.run("write-protect-look")
    assert "verify-mismatch" in done.codes
    address = f"0x{PROTECTED[family]:08X}"
    assert address in done.err
    look = (ROOT / "recipes" / "hardware-kit" / f"{family}-write-protect-look.yaml").read_text()
    assert address in look


@both_families
def test_a_mass_erase_that_spares_what_is_protected_shows_in_the_second_look(owner: Owner, family: str) -> None:
    """The simulated flash has no such erase; what it would leave is put there."""
    owner.begin()
    owner.run("write-protect")
    board = owner.board()
    flash = owner.chip.flash
    open_page = next(page for page in range(flash.page_count) if flash.page(page).end == PROTECTED[family])
    board.flash.erase_page(open_page)
    StateFile(owner.board_file).keep(board)
    done = owner.run("write-protect-look")
    where = f"0x{flash.page(open_page).start:08X}"
    assert re.search(rf"differs from pattern in the \w+ at {where}\n", done.err), done.err
    look = (ROOT / "recipes" / "hardware-kit" / f"{family}-write-protect-look.yaml").read_text()
    assert f"{where} alone" in look


def test_a_board_that_uses_a_field_is_left_alone(dfurun: Dfurun, tmp_path: Path) -> None:
    owner = Owner(dfurun, tmp_path, "f072")
    owner.begin()
    dfurun("sim", "set-option-bytes", owner.board_file, "DATA0=0x42")
    before = owner.board().option_bytes.stored
    assert owner.run("option-bytes").exit == 1
    assert owner.board().option_bytes.stored == before


# The document ---------------------------------------------------------------------------------------------------------


def rows() -> dict[str, str]:
    """Return the questions by their numbers."""
    found = re.findall(r"^\| ([A-E]\d+) \| (.+)$", HARDWARE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(found) == len(dict(found)), "each number once"
    return dict(found)


def kit_table() -> str:
    return HARDWARE.read_text(encoding="utf-8").partition("| recipe | chips |")[2].partition("\n\n")[0]


def test_every_question_says_what_depends_on_it_how_it_is_settled_and_what_would_change() -> None:
    for number, row in rows().items():
        cells = [cell.strip() for cell in row.removesuffix("|").split(" | ")]
        assert len(cells) == 5, (number, len(cells))
        assert all(cells), number
    assert len({row.partition(" | ")[0] for row in rows().values()}) == len(rows()), "each question once"


def test_every_way_of_storing_option_bytes_has_questions_and_every_family_is_in_one() -> None:
    """Those without option bytes are `not established`; F0 has its own kit, and what is asked of every family is of all."""
    asked = [row.partition(" | ")[0] for number, row in rows().items() if number.startswith("E")]
    for entry in entries():
        layout = load_chip(entry.names[0]).option_bytes
        storage = layout.storage.value if layout.established else "not established"
        family = entry.family.removeprefix("STM32")
        named = [question for question in asked if question.startswith(f"{storage} (")]
        assert named, storage
        in_it = any(re.search(rf"\b{family}|\b{family[0]}\b", question.partition(")")[0]) for question in named)
        assert in_it or family == "F0", (entry.family, storage)


def test_the_table_of_the_kit_names_questions_that_are_asked() -> None:
    named: set[str] = set()
    for line in kit_table().splitlines()[2:]:
        answers = line.rstrip("| ").rpartition("|")[2]
        for first, last in re.findall(r"([A-D]\d+)(?: to ([A-D]\d+))?", answers):
            named |= {f"{first[0]}{n}" for n in range(int(first[1:]), int((last or first)[1:]) + 1)}
    assert named <= set(rows())
    asked = {number for number, row in rows().items() if re.search(r"`(?:f0\d\d|f405|f0\*|\*)-[a-z]", row)}
    assert named >= {number for number in asked if number not in {"B9", "B11", "C1", "C2", "C4"}}


@every_recipe
def test_the_document_names_every_recipe_of_the_kit(recipe: Path) -> None:
    chip, _, experiment = recipe.stem.partition("-")
    first, _, part = (
        experiment.rpartition("-") if experiment.endswith(("-look", "-off", "-back")) else (experiment, "", "")
    )
    line = next(line for line in kit_table().splitlines() if f"`*-{first}`" in line or f"`{chip}-{first}`" in line)
    assert chip.upper() in line
    assert not part or f"`-{part}`" in line


@pytest.mark.parametrize("fault", catalogue(), ids=lambda fault: fault.name)
def test_every_inference_of_the_catalogue_of_faults_is_a_question(fault: FaultEntry) -> None:
    words = " ".join([fault.confidence, fault.source, *fault.details])
    if "inference" in words:
        asked = re.findall(r"`(?:--sim-fault )?([a-z-]+)(?::[^`]*)?`", " ".join(rows().values()))
        assert fault.name in asked
