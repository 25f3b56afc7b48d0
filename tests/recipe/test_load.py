"""Loading a recipe from its file: what comes out, and that everything that is wrong is said at once."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfurun import __version__
from dfurun.errors import Code, Finding, Related, Severity
from dfurun.recipe import Loaded, load_recipe, load_text, repository_of
from dfurun.steps.connect import Connect
from dfurun.steps.write import Write
from dfurun.units import AddressRange

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))
HEAD = "dfurun: 1\nname: Example\nchip: stm32f072xb\n"


def load(folder: Path, text: str, *, allow_outside: bool = False) -> Loaded:
    path = folder / "recipe.yaml"
    path.write_bytes(text.encode())
    return load_recipe(path, allow_outside=allow_outside)


def codes(loaded: Loaded) -> list[Code]:
    return [finding.code for finding in loaded.findings]


@pytest.mark.parametrize("path", RECIPES, ids=[path.stem for path in RECIPES])
def test_the_products_recipes_load_without_a_finding(path: Path) -> None:
    loaded = load_recipe(path)
    assert loaded.findings == ()
    assert loaded.recipe is not None
    assert loaded.recipe.chip.name[5:9] == path.name[:4]
    assert loaded.recipe.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    for image in loaded.recipe.images.values():
        assert image.pinned


def test_the_release_recipe_is_typed_steps_over_the_pinned_image() -> None:
    recipe = load_recipe(ROOT / "recipes" / "f072-release.yaml").recipe
    assert recipe is not None
    keywords = [step.keyword for step in recipe.steps]
    assert keywords == ["connect", "unprotect", "mass-erase", "write", "verify", "set-option-bytes", "leave-dfu"]
    connect, write = recipe.steps[0], recipe.steps[3]
    assert isinstance(connect, Connect)
    assert connect.head.timeout_s == 10.0
    assert isinstance(write, Write)
    assert write.head.path == ("steps", 3, "write")
    binary = (ROOT / "recipes" / "firmware" / "f072-blinky.bin").read_bytes()
    (piece,) = write.image.memory.pieces
    assert (piece.address, piece.data) == (0x0800_0000, binary)
    assert recipe.expect.flash_size_bytes == 128 * 1024
    assert recipe.supply_v is None


def test_everything_a_recipe_says_is_in_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"\x01\x02")
    text = HEAD + (
        "supply: 3.3V\nexpect: {flash-size: 0x20000, bootloader-id: 0xA1, unique-id: [3e0042000f51373332363538]}\n"
        "allow: [boot-sel-cleared]\nimages:\n  a: {file: a.bin, address: 0x08000800}\n"
        "steps: [connect, {verify: {image: a}}]\n"
    )
    loaded = load(tmp_path, text)
    assert codes(loaded) == [Code.UNPINNED_IMAGE]
    recipe = loaded.recipe
    assert recipe is not None
    assert (recipe.name, recipe.supply_v, recipe.allow) == ("Example", 3.3, {"boot-sel-cleared"})
    assert recipe.expect.unique_ids == ("3E0042000F51373332363538",)
    assert recipe.images["a"].memory.pieces[0].extent == AddressRange(0x0800_0800, 2)


@pytest.mark.parametrize(
    ("chip", "supply", "accepted"),
    [
        ("stm32f072xb", "1.64V", False), ("stm32f072xb", "1.65V", True), ("stm32f072xb", "3.6V", True),
        ("stm32f072xb", "5V", False), ("stm32f405xg", "1.69V", False), ("stm32f405xg", "1.7V", True),
        ("stm32f000", "12V", None),
    ],
)  # fmt: skip
def test_the_supply_is_one_that_the_datasheet_allows(
    tmp_path: Path, chip: str, supply: str, accepted: bool | None
) -> None:
    loaded = load(tmp_path, f"dfurun: 1\nname: Example\nchip: {chip}\nsupply: {supply}\nsteps: [connect]\n")
    expected = {True: [], False: [Code.BAD_VALUE], None: [Code.UNKNOWN_CHIP]}
    assert codes(loaded) == expected[accepted]


def test_a_warning_alone_leaves_the_recipe_usable(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"\x01\x02")
    loaded = load(tmp_path, HEAD + "images: {a: {file: a.bin, address: 0x08000000}}\nsteps: [connect]\n")
    assert codes(loaded) == [Code.UNPINNED_IMAGE, Code.UNUSED_IMAGE]
    assert loaded.recipe is not None
    assert not loaded.has_errors


def test_mistakes_of_every_kind_are_said_in_one_go_in_the_order_of_the_text(tmp_path: Path) -> None:
    text = (
        "dfurun: 1\nname: on\nchip: stm32f072xb\nrequires: '>=99'\nallow: [nothing]\n"
        "images: {a: {file: a.hex}}\nsteps:\n  - connect: {tmeout: 1s}\n"
        "  - set-option-bytes: {fields: {nBOOT9: 1}}\n  - verify: {image: b}\n"
    )
    loaded = load(tmp_path, text)
    assert codes(loaded) == [
        Code.YAML_AMBIGUOUS,
        Code.VERSION_TOO_OLD,
        Code.UNKNOWN_GUARD,
        Code.IMAGE_MISSING,
        Code.UNKNOWN_KEY,
        Code.UNKNOWN_FIELD,
        Code.UNKNOWN_IMAGE,
    ]
    assert [finding.place.line for finding in loaded.findings if finding.place] == [2, 4, 5, 6, 8, 9, 10]
    assert loaded.recipe is None


def test_an_unreadable_value_is_not_also_of_the_wrong_type(tmp_path: Path) -> None:
    text = HEAD + "images: {a: {file: on, sha256: *x}}\nsteps: [{connect: {timeout: 010}}, {verify: {image: a}}]\n"
    assert codes(load(tmp_path, text)) == [Code.YAML_AMBIGUOUS, Code.YAML_FEATURE, Code.YAML_AMBIGUOUS]


def test_a_key_that_could_not_be_read_is_not_missed(tmp_path: Path) -> None:
    text = "dfurun: 1\n<<: {name: x}\nchip: stm32f072xb\nsteps: [connect]\n"
    assert codes(load(tmp_path, text)) == [Code.YAML_FEATURE]


def test_an_image_whose_name_could_not_be_read_is_not_unknown(tmp_path: Path) -> None:
    text = HEAD + "images: {App: {file: a.hex}}\nsteps: [connect, {verify: {image: app}}]\n"
    assert codes(load(tmp_path, text)) == [Code.BAD_VALUE]


@pytest.mark.parametrize(
    ("requires", "accepted"),
    [
        (">=0", True),
        (">=0.1", True),
        (f">={__version__}", True),
        (">= 0.0.9", True),
        (">=0.1.0.0", True),
        (">=1000", False),
    ],
)
def test_requires_compares_numbers(tmp_path: Path, requires: str, accepted: bool) -> None:
    loaded = load(tmp_path, HEAD + f'requires: "{requires}"\nsteps: [connect]\n')
    assert codes(loaded) == ([] if accepted else [Code.VERSION_TOO_OLD])


def test_a_missing_recipe_and_a_folder_are_findings(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path, Path("a\0b")):
        loaded = load_recipe(path)
        assert codes(loaded) == [Code.RECIPE_UNREADABLE]
        assert loaded.recipe is None


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ("my-bord.yaml", "did you mean 'my-board.yaml'?"),
        ("my-board", "did you mean 'my-board.yaml'?"),
        ("MY_BOARD.yml", "did you mean 'my-board.yaml'?"),
        ("release.yaml", "did you mean 'recipes/release.yaml'?"),
        ("release", "did you mean 'recipes/release.yaml'?"),
        ("recipes/releas.yaml", "did you mean 'recipes/release.yaml'?"),
        ("relaese.yaml", ""),
        ("recipe/release.yaml", "there is no folder recipe"),
        ("my-board.yaml/release.yaml", ""),
    ],
)
def test_a_missing_recipe_is_told_with_the_one_that_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str, hint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipes").mkdir()
    for name in ("my-board.yaml", "notes.txt", "recipes/release.yaml"):
        (tmp_path / name).write_text("")
    (finding,) = load_recipe(Path(asked)).findings
    assert (finding.code, finding.hint) == (Code.RECIPE_UNREADABLE, hint)


def test_an_images_path_is_shown_without_the_way_there_and_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    (tmp_path / "recipes").mkdir()
    (tmp_path / "firmware").mkdir()
    recipe = Path("recipes/recipe.yaml")
    recipe.write_text(HEAD + "images: {a: {file: ../firmware/a.hex}, b: {file: ../firmwrae/a.hex}}\nsteps: [connect]\n")
    findings = load_recipe(recipe).findings
    assert [(f.message, f.hint) for f in findings if f.code is Code.IMAGE_MISSING] == [
        ("no file firmware/a.hex", ""),
        ("no file firmwrae/a.hex", "there is no folder firmwrae"),
    ]


def test_where_a_link_makes_them_two_places_the_path_is_shown_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "far" / "recipes").mkdir(parents=True)
    try:
        (tmp_path / "recipes").symlink_to(tmp_path / "far" / "recipes")
    except OSError:
        pytest.skip("this system lets this user make no links")
    recipe = Path("recipes/recipe.yaml")
    recipe.write_text(HEAD + "images: {a: {file: ../a.hex}}\nsteps: [connect]\n")
    messages = [finding.message for finding in load_recipe(recipe, allow_outside=True).findings]
    assert "no file recipes/../a.hex" in messages


def test_a_recipe_of_more_than_256_kib_is_not_read(tmp_path: Path) -> None:
    fitting = HEAD + "steps: [connect]\n#"
    assert codes(load(tmp_path, fitting.ljust(256 * 1024, "x"))) == []
    assert codes(load(tmp_path, fitting.ljust(256 * 1024 + 1, "x"))) == [Code.RECIPE_TOO_LARGE]


def test_images_come_from_the_recipes_repository(tmp_path: Path) -> None:
    repository = tmp_path / "product"
    recipes = repository / "recipes"
    recipes.mkdir(parents=True)
    (repository / "inside.bin").write_bytes(b"\x01\x02")
    (tmp_path / "outside.bin").write_bytes(b"\x01\x02")
    inside, outside = (
        HEAD + f"images: {{a: {{file: {file}, address: 0x08000000}}}}\nsteps: [connect, {{verify: {{image: a}}}}]\n"
        for file in ("../inside.bin", "../../outside.bin")
    )
    (finding,) = load(recipes, inside).findings
    assert finding.code is Code.IMAGE_OUTSIDE
    assert "outside the recipe's folder, and with no git repository around it only that counts" in finding.message
    assert "`git init`" in finding.hint

    (repository / ".git").mkdir()
    assert repository_of(recipes / "recipe.yaml") == repository.resolve()
    assert codes(load(recipes, inside)) == [Code.UNPINNED_IMAGE]
    (finding,) = load(recipes, outside).findings
    assert (finding.code, finding.message) == (
        Code.IMAGE_OUTSIDE,
        "`../../outside.bin` is outside the recipe's repository",
    )
    assert "git" not in finding.hint
    assert codes(load(recipes, outside, allow_outside=True)) == [Code.UNPINNED_IMAGE]


def test_a_link_that_leads_out_of_the_repository_is_outside(tmp_path: Path) -> None:
    recipes = tmp_path / "product"
    recipes.mkdir()
    (tmp_path / "outside.bin").write_bytes(b"\x01\x02")
    try:
        (recipes / "link.bin").symlink_to(tmp_path / "outside.bin")
    except OSError:
        pytest.skip("this system lets this user make no links")
    text = HEAD + "images: {a: {file: link.bin, address: 0x08000000}}\nsteps: [connect, {verify: {image: a}}]\n"
    assert codes(load(recipes, text)) == [Code.IMAGE_OUTSIDE]


def test_a_pin_that_does_not_fit_is_refused_and_shows_both_hashes(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"\x01\x02")
    pinned, found = "ab" * 32, hashlib.sha256(b"\x01\x02").hexdigest()
    text = HEAD + f"images: {{a: {{file: a.bin, address: 0x08000000, sha256: {pinned}}}}}\nsteps: [connect]\n"
    loaded = load(tmp_path, text)
    (finding,) = [finding for finding in loaded.findings if finding.severity is Severity.ERROR]
    assert finding.code is Code.PIN_MISMATCH
    assert finding.notes == (f"pinned: {pinned}", f"found:  {found}")
    assert finding.path == ("images", "a", "sha256")


def test_later_findings_get_their_places_from_the_source() -> None:
    """The rules that run on the compiled recipe know paths only."""
    loaded = load_text(Path("r.yaml"), HEAD + "steps:\n  - mass-erase\n  - connect:\n      id: a\n", sha256="")
    first, second, third, last = loaded.source.attach(
        [
            Finding(Code.STEP_ORDER, "on a body", ("steps", 1, "connect"), on_key=True),
            Finding(Code.STEP_ORDER, "on a bare step", ("steps", 0), on_key=True),
            Finding(
                Code.OVERLAP, "on nothing that is there", ("steps", 1, "connect", "timeout"),
                related=(Related(("steps", 1, "connect"), "a body by its key"),),
            ),
            Finding(Code.STEP_ORDER, "on a value", ("steps", 1, "connect", "id")),
        ]
    )  # fmt: skip
    assert [str(f.place) for f in (first, second, third, last)] == [
        "r.yaml:5:5",
        "r.yaml:6:5",
        "r.yaml:6:5",
        "r.yaml:7:11",
    ]
    assert first.message == "on a bare step"
    assert [str(related.place) for related in third.related] == ["r.yaml:6:5"]


LINES = st.sampled_from(
    [
        "dfurun: 1", "name: x", "name: on", "chip: stm32f072xb", "chip: 3", "requires: '>=0.1'", "expect: {flash-size: 1}",
        "images:", "  a: {file: a.bin, address: 0x08000000}", "  a: {file: .., size: 99999999999}", "  b:", "steps:",
        "  - connect", "  - write: {image: a}", "  - erase: {pages: 9-1}", "  - erase: {range: 0x0+0}", "  - erase: {image: a}",
        "  - read: {range: 0xFFFFFFFF+4M, file: x}", "  - leave-dfu: {address: '9999999999'}", "  - leave-dfu:",
        "  - set-option-bytes: {fields: {RDP: 1, DATA0: 4000000000}}", "  - verify: {image: [a]}", "  - {}", "  - ~",
        "allow: [rdp-level-2]", "allow: {a: b}", "supply: 3.3V", "x-y: {a: [1, 2, {}]}", "\t", "- a", "  - connect: {id: a}",
    ]
)  # fmt: skip


@settings(max_examples=200)
@given(st.lists(LINES, max_size=14))
def test_no_recipe_makes_the_loader_raise(lines: list[str]) -> None:
    loaded = load_text(Path("no-such-folder/recipe.yaml"), "\n".join(lines), sha256="")
    assert (loaded.recipe is None) == loaded.has_errors
    assert all(finding.place is not None for finding in loaded.findings)
