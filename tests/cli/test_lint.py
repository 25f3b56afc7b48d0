"""`dfurun lint`: what a reviewer would ask about a recipe that is sound, what is not asked, and how it is silenced."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from command_line import Dfurun

from dfurun.errors import Code
from dfurun.report.explain import Explanation, explanations

FIRMWARE = Path(__file__).parents[2] / "recipes" / "firmware"
ADVICE = [explanation for explanation in explanations().values() if explanation.code.is_advice]
HEAD = "dfurun: 1\nname: Board\nchip: {chip}\n"
SHA256 = "4ef148ec303450ecf5019dc9c8cdaa9efa3fa05e3ae018d628f7fb7cbd8bf5f7"
IMAGES = f'images: {{{{application: {{{{file: app.hex, sha256: "{SHA256}"}}}}}}}}\n'
EXPECT = "expect: {{flash-size: 128K}}\n"
FLASH = ("connect", "mass-erase", "write: {image: application}", "verify: {image: application}")
F072, F405 = "stm32f072xb", "stm32f405xg"


@pytest.fixture(autouse=True)
def _firmware(tmp_path: Path) -> None:
    shutil.copy(FIRMWARE / "f072-blinky.hex", tmp_path / "app.hex")


def recipe(*steps: str, top: str = "", expect: str = EXPECT, chip: str = F072) -> str:
    text = (HEAD + expect + IMAGES).format(chip=chip)
    return text + top + "steps:\n" + "".join(f"  - {step}\n" for step in steps)


def codes(dfurun: Dfurun, text: str) -> set[str]:
    """Return the codes that lint finds in a recipe, and see that its status is that of its findings."""
    Path("board.yaml").write_text(text, encoding="utf-8")
    done = dfurun("lint", "board.yaml")
    assert "error[" not in done.out, done.out
    assert done.exit == (1 if done.codes else 0)
    return done.codes


def test_a_recipe_that_nobody_would_ask_about_is_ok(dfurun: Dfurun) -> None:
    Path("board.yaml").write_text(recipe(*FLASH, "leave-dfu"), encoding="utf-8")
    done = dfurun("lint", "board.yaml")
    assert (done.exit, done.out, done.err) == (0, "board.yaml: ok\n", "")
    assert dfurun("lint", "board.yaml", "-q").out == ""


def whole(snippet: str) -> str:
    """Return a recipe around an example of `dfurun explain`, by its own rules: steps, or keys of the top level."""
    keys = {line.split(":")[0] for line in snippet.splitlines()}
    text = HEAD.format(chip=F072) + ("" if "images" in keys else IMAGES.format())
    if not snippet.startswith("- "):
        return text + snippet + ("\n" if "steps" in keys else "\nsteps: [connect]\n")
    first = [] if "- connect" in snippet else ["- connect", "- mass-erase"]
    return text + "\n".join(["steps:", *first, snippet]) + "\n"


@pytest.mark.parametrize("explanation", ADVICE, ids=lambda explanation: explanation.code.label)
def test_the_wrong_example_of_each_code_gives_it_and_the_right_one_does_not(
    dfurun: Dfurun, explanation: Explanation
) -> None:
    label = explanation.code.label
    assert label in codes(dfurun, whole(explanation.wrong))
    assert label not in codes(dfurun, whole(explanation.right))


CASES = [
    # The right board
    ("no-expect", recipe("connect", "unprotect", expect=""), True),
    ("no-expect", recipe("connect", "erase: {image: application}", expect=""), False),
    ("no-expect", recipe("connect", "unprotect", expect="expect: {{bootloader-id: 0xA1}}\n"), False),
    ("no-expect", recipe("connect", "mass-erase", expect="", chip="stm32u375xe"), False),  # tells no flash size
    # The start
    ("never-starts", recipe(*FLASH, "wait-for-power-cycle: {boot0: 0}"), False),
    ("never-starts", recipe("connect", "mass-erase"), False),
    ("entry-erased", recipe(*FLASH, "leave-dfu: {address: 0x08004000}"), True),
    ("entry-erased", recipe("connect", "leave-dfu"), False),
    ("bootloader-erased", recipe("connect", "erase: {pages: 4-9}", "leave-dfu: {address: 0x08004000}"), True),
    (
        "bootloader-erased",
        recipe(*FLASH[:1], "erase: {pages: 0-2}", *FLASH[2:], "leave-dfu: {address: 0x08001800}"),
        False,
    ),
    # What is erased
    ("written-then-erased", recipe(*FLASH, "unprotect"), True),
    ("written-then-erased", recipe(*FLASH, "erase: {pages: 60}"), False),
    (
        "written-then-erased",
        recipe("connect", "write: {image: application, mode: changed}", "write: {image: application, mode: changed}"),
        False,
    ),
    ("erased-twice", recipe("connect", "mass-erase", "erase: {pages: 3, mode: needed}"), False),
    ("erased-twice", recipe(*FLASH, "erase: {pages: 0}"), False),
    ("erased-twice", recipe("connect", "mass-erase", "mass-erase"), True),
    ("erased-twice", recipe("connect", "mass-erase", "unprotect", "mass-erase"), True),
    # Protection
    (
        "protected-before-verify",
        recipe(*FLASH[:3], "set-option-bytes: {fields: {RDP: level-1}}", top="allow: [protects-what-follows]\n"),
        False,
    ),
    (
        "protection-not-seen",
        recipe(*FLASH, "set-option-bytes: {fields: {RDP: level-1}}", "check-option-bytes: {fields: {RDP: level-1}}"),
        True,
    ),
    ("protection-not-seen", recipe(*FLASH, "set-option-bytes: {write-protect: [{pages: 0-3}]}"), True),
    ("protection-not-seen", recipe(*FLASH, "set-option-bytes: {write-protect: []}"), False),
    (
        "protection-not-seen",
        recipe(
            *FLASH,
            "set-option-bytes: {write-protect: [{pages: 0-3}]}",
            "wait-for-power-cycle: {boot0: 1}",
            "check-option-bytes: {fields: {WRP0: 0xFC}}",
        ),
        False,
    ),
    (
        "protection-not-seen",
        recipe("connect", "set-option-bytes: {fields: {RDP: level-1}}", chip=F405),
        False,
    ),  # in force at the reset
    ("rdp-lowered", recipe("connect", "set-option-bytes: {from: factory}"), False),
    (
        "rdp-lowered",
        recipe(
            *FLASH,
            "set-option-bytes: {fields: {RDP: level-1}}",
            "wait-for-power-cycle: {boot0: 1}",
            "set-option-bytes: {fields: {RDP: level-0}}",
            top="allow: [protects-what-follows]\n",
        ),
        True,
    ),
    # Boot
    (
        "boot-half-named",
        recipe("connect", "set-option-bytes: {fields: {BOOT_SEL: 1}}"),
        False,
    ),  # BOOT0 low is flash, whatever the others
    ("boot-half-named", recipe("connect", "set-option-bytes: {fields: {DATA0: 1}}"), False),
    ("boot-half-named", recipe("connect", "set-option-bytes: {from: factory}"), False),
    (
        "boot-half-named",
        recipe(
            "connect", "set-option-bytes: {fields: {nBOOT1: 1}}", "set-option-bytes: {fields: {nBOOT0: 1, BOOT_SEL: 1}}"
        ),
        False,
    ),
    # Consent
    (
        "allow-unneeded",
        recipe("connect", "set-option-bytes: {fields: {BOOT_SEL: 0}}", top="allow: [boot-sel-cleared]\n"),
        False,
    ),
    (
        "allow-unneeded",
        recipe("connect", "set-option-bytes: {fields: {DATA0: 1}}", top="allow: [bootloader-hidden]\n"),
        True,
    ),
    ("allow-unneeded", recipe(*FLASH, top="allow: [protects-what-follows]\n"), True),
    (
        "allow-unneeded",
        recipe(
            "connect",
            "set-option-bytes: {fields: {RDP: level-1}}",
            "mass-erase",
            top="allow: [protects-what-follows]\n",
        ),
        False,
    ),
    # Time
    ("timeout-too-short", recipe("connect", "mass-erase: {timeout: 20s}", chip=F405), True),
    ("timeout-too-short", recipe("connect", "mass-erase: {timeout: 1min}", chip=F405), False),
    ("timeout-too-short", recipe("connect", "erase: {image: application, timeout: 10ms}"), True),
    ("timeout-too-short", recipe(*FLASH[:2], "write: {image: application, timeout: 10ms}"), True),
    ("timeout-too-short", recipe("connect", "set-option-bytes: {fields: {DATA0: 1}, timeout: 5ms}"), True),
    ("timeout-too-short", recipe("connect", "wait-for-power-cycle: {boot0: 1, timeout: 1ms}"), True),
    ("timeout-too-short", recipe("connect: {timeout: 1ms}", "verify: {image: application, timeout: 1ms}"), False),
    # Files
    ("one-file-for-all", recipe("connect", 'read: {range: 0x08000000+2K, file: "${chip}.bin"}'), True),
    ("one-file-for-all", recipe("connect", 'read: {range: 0x08000000+2K, file: "${port}.bin"}'), False),
    # What check warns of is shown as well, once
    ("not-verified", recipe(*FLASH[:3], "leave-dfu"), True),
    ("unpinned-image", recipe(*FLASH, "leave-dfu").replace(", sha256", ", x-sha256"), True),
    ("vector-table", recipe(*FLASH, "leave-dfu", chip="stm32f042x6", expect="expect: {{flash-size: 32K}}\n"), True),
]


@pytest.mark.parametrize(
    ("label", "text", "is_found"), CASES, ids=[f"{label}-{number}" for number, (label, _, _) in enumerate(CASES)]
)
def test_a_rule_finds_what_it_is_about_and_nothing_else(dfurun: Dfurun, label: str, text: str, is_found: bool) -> None:
    assert (label in codes(dfurun, text)) == is_found


def test_every_code_of_lint_has_its_cases() -> None:
    named = {label for label, _, _ in CASES} | {"for-ever", "lint-ignore-bad", "lint-ignore-unused"}
    assert {code.label for code in Code if code.is_advice} <= named


def test_a_finding_has_its_place_and_says_what_to_do(dfurun: Dfurun) -> None:
    Path("board.yaml").write_text(recipe(*FLASH, "mass-erase"), encoding="utf-8")
    done = dfurun("lint", "board.yaml")
    assert done.out == (
        "board.yaml:11:5: warning[written-then-erased]: mass-erase erases application, which was written before\n"
        " 11 |   - mass-erase\n"
        "    |     ^^^^^^^^^^\n"
        "  9 |   - write: {image: application}\n"
        "    |                    ----------- written here\n"
        "    = hint: move mass-erase before the `write`, or remove one of the two\n"
        "1 warning\n"
    )


def test_the_shipped_recipes_pass_and_say_why_where_they_silence_something(dfurun: Dfurun, recipes: Path) -> None:
    done = dfurun("lint", *sorted(recipes.glob("*.yaml")), "--json")
    assert done.exit == 0
    told = [(Path(line["file"]).name, line["code"]) for line in done.lines if line["event"] == "silenced"]
    assert told == [("f072-protect.yaml", "protection-not-seen"), ("f072-unprotect.yaml", "no-expect")]
    assert all(len(line["reason"]) > 40 for line in done.lines if line["event"] == "silenced")


def test_an_invalid_recipe_is_told_as_check_tells_it_and_others_are_linted(dfurun: Dfurun) -> None:
    Path("bad.yaml").write_text(recipe("connect", "mas-erase"), encoding="utf-8")
    Path("board.yaml").write_text(recipe(*FLASH), encoding="utf-8")
    done = dfurun("lint", "bad.yaml", "board.yaml")
    assert (done.exit, done.codes) == (3, {"unknown-step", "never-starts"})
    assert dfurun("lint", "bad.yaml").out == dfurun("check", "bad.yaml").out


# Silenced -------------------------------------------------------------------------------------------------------------

REASON = 'reason: "the test station starts it"'


def silencing(where: str, code: str) -> str:
    """Return a recipe that never starts its application, with an entry at the top, in a step, or in an image."""
    entry = f"x-lint-ignore: [{{code: {code}, {REASON}}}]"
    text = recipe(*FLASH[:3], f"verify: {{image: application{', ' + entry if where == 'step' else ''}}}")
    text = text.replace("steps:", f"{entry}\nsteps:") if where == "top" else text
    return text.replace("file: app.hex,", f"file: app.hex, {entry},") if where == "image" else text


@pytest.mark.parametrize("where", ["top", "step"])
def test_a_finding_is_silenced_with_a_reason_which_is_shown(dfurun: Dfurun, where: str) -> None:
    Path("board.yaml").write_text(silencing(where, "never-starts"), encoding="utf-8")
    done = dfurun("lint", "board.yaml")
    line = 11 if where == "top" else 10
    assert (done.exit, done.out) == (
        0,
        f"board.yaml: ok\nboard.yaml:{line}:5: silenced[never-starts]: the test station starts it\n",
    )


def test_a_warning_of_check_is_silenced_for_lint_alone(dfurun: Dfurun) -> None:
    text = silencing("image", "unpinned-image").replace(", sha256", ", x-sha256")
    Path("board.yaml").write_text(text + "  - leave-dfu\n", encoding="utf-8")
    assert dfurun("lint", "board.yaml").exit == 0
    assert dfurun("check", "board.yaml").codes == {"unpinned-image"}


def test_an_entry_elsewhere_silences_nothing_and_is_itself_a_finding(dfurun: Dfurun) -> None:
    assert codes(dfurun, silencing("image", "never-starts")) == {"never-starts", "lint-ignore-unused"}
    assert codes(dfurun, silencing("top", "no-expect")) == {"never-starts", "lint-ignore-unused"}


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("x-lint-ignore: [{code: never-starts}]", "`never-starts` is silenced without a reason"),
        ('x-lint-ignore: [{code: never-starts, reason: " "}]', "`never-starts` is silenced without a reason"),
        ("x-lint-ignore: [{code: never-start, reason: a}]", "lint has no code `never-start`\n"),
        ("x-lint-ignore: [{code: guard, reason: a}]", "`guard` is not a finding of lint, nor a warning of check"),
        ("x-lint-ignore: [{code: lint-ignore-unused, reason: a}]", "`lint-ignore-unused` cannot be silenced"),
        ("x-lint-ignore: [{reason: a}]", "an entry needs the `code` that it silences"),
        ("x-lint-ignore: [{code: [a], reason: a}]", "lint has no code"),
        ("x-lint-ignore: [never-starts]", "an entry has a `code` and a `reason`, and nothing else"),
        ("x-lint-ignore: [{code: never-starts, reason: a, until: b}]", "an entry has a `code` and a `reason`"),
        ("x-lint-ignore: {code: never-starts, reason: a}", "`x-lint-ignore` is a list of codes with reasons"),
        ("x-lint-ignores: [{code: never-starts, reason: a}]", "`x-lint-ignores` silences nothing"),
        ("x-lint-ignore: []", "`x-lint-ignore` is a list of codes with reasons"),
    ],
)
def test_an_entry_that_cannot_silence_is_told_with_its_place(dfurun: Dfurun, entry: str, said: str) -> None:
    Path("board.yaml").write_text(recipe(*FLASH, top=f"{entry}\n"), encoding="utf-8")
    done = dfurun("lint", "board.yaml")
    assert (done.exit, done.codes) == (1, {"never-starts", "lint-ignore-bad"})
    assert f"warning[lint-ignore-bad]: {said}" in done.out
    assert "board.yaml:6:" in done.out


CORPUS = sorted((Path(__file__).parents[1] / "cases").glob("*/*.yaml"))


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: f"{case.parent.name}/{case.stem}")
def test_whatever_check_finds_in_the_corpus_lint_shows_as_well(
    dfurun: Dfurun, monkeypatch: pytest.MonkeyPatch, case: Path
) -> None:
    monkeypatch.chdir(case.parent)
    checked, linted = dfurun("check", case.name), dfurun("lint", case.name)
    if checked.exit:
        assert (linted.exit, linted.out) == (checked.exit, checked.out)
    else:
        assert checked.codes <= linted.codes
        assert linted.exit == (1 if linted.codes else 0)


# For tools ------------------------------------------------------------------------------------------------------------


def test_findings_are_annotations_and_objects_as_those_of_check_are(dfurun: Dfurun) -> None:
    Path("board.yaml").write_text(silencing("top", "unpinned-image"), encoding="utf-8")
    shown = dfurun("lint", "board.yaml", "--format", "github").out.splitlines()
    assert shown[0].startswith("::warning file=board.yaml,line=6,col=17,endColumn=")
    assert "title=lint-ignore-unused::" in shown[0]
    lines = dfurun("lint", "board.yaml", "--json").lines
    assert [line["event"] for line in lines] == ["hello", "finding", "finding", "linted", "result"]
    assert (lines[2]["code"], lines[2]["severity"], lines[3]["exit"]) == ("never-starts", "warning", 1)


def test_explain_says_of_advice_that_lint_fails_for_it(dfurun: Dfurun) -> None:
    assert "advice of `dfurun lint`, which exits with 1 for it" in dfurun("explain", "never-starts").out
