"""`dfurun pin` over bases: each pin in the file that says which image is meant, all of them judged before one is written."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
from command_line import ROOT, Dfurun

from dfurun.plan import pinning

OLD = "0" * 64
BLINKY = ROOT / "recipes/firmware/f072-blinky.hex"
SHA256 = hashlib.sha256(BLINKY.read_bytes()).hexdigest()
BASE = f"""\
dfurun: 1
abstract: true
chip: stm32f072xb
vars:
  serial: {{type: integer}}
images:
  loader: {{file: loader.hex, sha256: "{OLD}"}}   # of every product
data:
  unit: {{address: "0x0801F800", bytes: [{{u64le: "${{serial}}"}}]}}
steps:
  - connect
  - mass-erase
  - write: {{image: loader}}
  - verify: {{image: loader}}
  - write: {{data: unit}}
  - verify: {{data: unit}}
"""
PRODUCT = "dfurun: 1\nextends: bases/base.yaml\nname: Product\n"
OWN = f'{PRODUCT}images:\n  loader:\n    file: own.hex\n    sha256: "{OLD}"\n'


@pytest.fixture(autouse=True)
def _product(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A product without anything of its own, whose base has an outdated pin."""
    monkeypatch.chdir(tmp_path)
    Path(".git").mkdir()
    Path("bases").mkdir()
    shutil.copy(BLINKY, "bases/loader.hex")
    put("bases/base.yaml", BASE)
    put("product.yaml", PRODUCT)


def put(name: str, text: str) -> None:
    Path(name).write_bytes(text.encode())


def text(name: str) -> str:
    return Path(name).read_bytes().decode()


def test_an_outdated_pin_of_a_base_is_told_in_the_base_and_once(dfurun: Dfurun) -> None:
    put("other.yaml", PRODUCT)
    done = dfurun("pin", "--check", "product.yaml", "other.yaml", "bases/base.yaml")
    assert (done.exit, done.codes) == (1, {"pin-outdated"})
    assert done.out.startswith("bases/base.yaml:7:38: error[pin-outdated]: image `loader` has another sha256")
    assert done.out.count("error[") == 1
    assert text("bases/base.yaml") == BASE


@pytest.mark.parametrize("recipe", ["product.yaml", "bases/base.yaml"])
def test_a_pin_of_a_base_is_brought_up_to_date_where_it_stands(dfurun: Dfurun, recipe: str) -> None:
    done = dfurun("pin", recipe)
    assert (done.exit, done.out.splitlines()[0]) == (0, "bases/base.yaml: loader, loader.hex")
    assert text("bases/base.yaml") == BASE.replace(OLD, SHA256)
    assert text("product.yaml") == PRODUCT
    assert dfurun("pin", "--check", "product.yaml").out == "product.yaml: ok, 1 image pinned\n"


def test_an_image_that_the_recipe_names_itself_is_pinned_in_it_and_that_of_the_base_in_the_base(dfurun: Dfurun) -> None:
    put("product.yaml", OWN)
    put("own.hex", BLINKY.read_text(encoding="ascii").replace("\r\n", "\n") + "\n")
    own = hashlib.sha256(Path("own.hex").read_bytes()).hexdigest()
    done = dfurun("pin", "product.yaml")
    assert done.exit == 0, done.out
    assert [line for line in done.out.splitlines() if not line.startswith(" ")] == [
        "bases/base.yaml: loader, loader.hex",
        "product.yaml: loader, own.hex",
    ]
    assert text("product.yaml") == OWN.replace(OLD, own)
    assert text("bases/base.yaml") == BASE.replace(OLD, SHA256)


def test_a_file_over_that_of_the_base_gets_a_pin_of_its_own(dfurun: Dfurun) -> None:
    put("product.yaml", OWN.replace(f'    sha256: "{OLD}"\n', ""))
    put("bases/base.yaml", BASE.replace(OLD, SHA256))
    put("own.hex", BLINKY.read_text(encoding="ascii") + "\n")
    assert dfurun("pin", "product.yaml").exit == 0
    own = hashlib.sha256(Path("own.hex").read_bytes()).hexdigest()
    assert text("product.yaml") == OWN.replace(OLD, own)
    assert dfurun("check", "product.yaml").exit == 0


def test_a_hash_over_an_unpinned_file_of_the_base_leaves_the_base_alone(dfurun: Dfurun) -> None:
    base = BASE.replace(f', sha256: "{OLD}"', "")
    put("bases/base.yaml", base)
    put("product.yaml", f'{PRODUCT}images: {{loader: {{sha256: "{OLD}"}}}}\n')
    assert dfurun("pin", "product.yaml").exit == 0
    assert text("bases/base.yaml") == base
    assert SHA256 in text("product.yaml")


def test_a_base_of_a_base_is_pinned_as_well_and_what_is_removed_is_not_the_recipes(dfurun: Dfurun) -> None:
    put("bases/line.yaml", "dfurun: 1\nabstract: true\nextends: base.yaml\n")
    put("product.yaml", PRODUCT.replace("base.yaml", "line.yaml"))
    assert dfurun("pin", "--check", "product.yaml").out.startswith("bases/base.yaml:7:38: ")
    put("product.yaml", OWN.replace("name:", "remove: [images.loader]\nname:"))
    shutil.copy(BLINKY, "own.hex")
    assert dfurun("pin", "product.yaml").exit == 0
    assert SHA256 in text("product.yaml")


def test_all_edits_are_judged_together_and_none_is_written_where_one_is_wrong(dfurun: Dfurun) -> None:
    put("product.yaml", OWN)
    put("own.hex", ":00000001FF\n")
    done = dfurun("pin", "product.yaml")
    assert (done.exit, done.codes) == (3, {"image-empty"})
    assert "product.yaml:6:11: error[image-empty]" in done.out
    assert (text("product.yaml"), text("bases/base.yaml")) == (OWN, BASE)


def test_where_the_second_file_cannot_be_written_the_first_is_named(
    dfurun: Dfurun, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dfurun import files

    put("product.yaml", OWN)
    shutil.copy(BLINKY, "own.hex")
    replace_text = files.replace_text

    def once(path: Path, before: bytes, after: bytes) -> None:
        if path.name == "product.yaml":
            raise PermissionError(13, "Permission denied")
        replace_text(path, before, after)

    monkeypatch.setattr(files, "replace_text", once)
    done = dfurun("pin", "product.yaml")
    assert (done.exit, done.codes) == (1, {"file-unwritable"})
    assert "it is as it was; bases/base.yaml is pinned" in done.err
    assert (text("product.yaml"), text("bases/base.yaml")) == (OWN, BASE.replace(OLD, SHA256))


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("{file: 'app-${serial}.hex'}", "its file is `app-${serial}.hex`, another one for each value"),
        ("{file: bases/loader.hex, sha256: '${hash}'}", "its `sha256` is `${hash}`, which a run is given"),
        ("{file: bases/loader.hex, size: '${size}'}", "its `size` is `${size}`, which a run is given"),
    ],
)
def test_what_a_variable_names_is_not_pinned_and_told_so(dfurun: Dfurun, entry: str, why: str) -> None:
    declared = "vars:\n  hash: {type: text}\n  size: {type: integer}\n"
    put("product.yaml", f"{PRODUCT}{declared}images:\n  application: {entry}\nsteps: [connect]\n")
    put("bases/base.yaml", BASE.replace(OLD, SHA256))
    before = text("product.yaml")
    for options in ((), ("--check",)):
        done = dfurun("pin", "product.yaml", *options)
        assert (done.exit, done.out.splitlines()) == (
            0,
            ["product.yaml: ok, 1 image pinned", f"product.yaml: application is not pinned: {why}"],
        )
    told = [line for line in dfurun("pin", "product.yaml", "--json").lines if line["event"] == "unpinned"]
    assert told == [{"event": "unpinned", "recipe": "product.yaml", "image": "application", "why": why}]
    assert text("product.yaml") == before


def test_a_missing_image_of_a_base_is_told_in_the_base(dfurun: Dfurun) -> None:
    Path("bases/loader.hex").unlink()
    done = dfurun("pin", "bases/base.yaml")
    assert (done.exit, done.codes) == (3, {"image-missing"})
    assert done.out.startswith("bases/base.yaml:7:18: error[image-missing]")


def test_data_has_no_pin(dfurun: Dfurun) -> None:
    put("bases/base.yaml", BASE.replace(OLD, SHA256))
    found = pinning.pin_recipe(Path("product.yaml"))
    assert (found.pinned, found.edits, found.unpinned) == (("loader",), (), ())
