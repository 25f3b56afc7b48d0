"""A recipe's file as bytes that nobody has checked: findings with words, and nothing else; what it names is not touched."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfurun.plan import compile_recipe

ROOT = Path(__file__).parents[2]
HEAD = "dfurun: 1\nname: x\nchip: stm32f072xb\n"
WORDS = [
    "dfurun: 1\n", "name: ", "chip: stm32f072xb\n", "images:\n", "steps:\n", "- connect\n", "  - write: {image: ",
    "  a: {file: ", "{", "}", "[", "]", ", ", ": ", "- ", "\n", "  ", '"', "'", "|\n", ">-\n", "&x ", "*x", "<<: ",
    "!!python/object:os.system ", "# ", "---\n", "...\n", "%YAML 1.1\n", "? ", "0x08000000", "1e999", "~", "on", "\t",
    "\ufeff", "\x85", "\u2028", "\0", "${port}", "../../../etc/passwd", "/dev/zero", "file",
    "read: {range: 0x08000000+2K, file: ", "[[[[[[[[[[[[[[[[", "a: {" * 40,
]  # fmt: skip


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the recipes are, in a folder where nothing else is."""
    return tmp_path_factory.mktemp("recipes") / "hostile.yaml"


def findings_of(recipe: Path, data: bytes) -> None:
    recipe.write_bytes(data)
    compiled = compile_recipe(recipe)
    assert compiled.findings or compiled.runnable()
    assert all(finding.message for finding in compiled.findings)
    assert list(recipe.parent.iterdir()) == [recipe]


@given(st.lists(st.sampled_from(WORDS) | st.text(max_size=4), max_size=60), st.booleans())
def test_words_of_the_language_in_any_order_give_findings(recipe: Path, words: list[str], headed: bool) -> None:
    findings_of(recipe, (HEAD * headed + "".join(words)).encode("utf-8", "surrogatepass"))


@given(st.binary(max_size=400), st.booleans())
def test_any_bytes_give_findings(recipe: Path, data: bytes, headed: bool) -> None:
    findings_of(recipe, HEAD.encode() * headed + data)


@given(st.data())
def test_a_shipped_recipe_with_flipped_and_missing_bytes_gives_findings(recipe: Path, data: st.DataObject) -> None:
    text = bytearray(data.draw(st.sampled_from(sorted((ROOT / "recipes").glob("*.yaml")))).read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(text) - 1))
        if data.draw(st.booleans()):
            text[at] ^= 1 << data.draw(st.integers(0, 7))
        else:
            del text[at : at + data.draw(st.integers(1, 40))]
    findings_of(recipe, bytes(text))


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "steps: " + "[" * 100_000,
        HEAD + "steps: " + "{a: " * 50_000,
        HEAD + "x-a: '" + "a" * 200_000,
        HEAD + "x-a:\n" + "".join(f"  k{n}: {n}\n" for n in range(15_000)),
        HEAD + "steps:\n" + "  - connect\n" * 20_000,
        HEAD + "".join(f"unknown{n}: 1\n" for n in range(14_000)),
        HEAD + "- " * 60_000,
        HEAD + "? " * 60_000,
    ],
    ids=["brackets", "braces", "long-scalar", "many-keys", "many-steps", "many-unknown", "dashes", "questions"],
)
def test_a_recipe_of_256_kib_of_one_thing_ends_soon(recipe: Path, text: str) -> None:
    findings_of(recipe, text[: 256 * 1024].encode())
