"""No text makes the loader or the rules raise: good recipes with their text, lines and values disturbed."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from dfurun.errors import Severity
from dfurun.plan import interpret
from dfurun.recipe import load_text

ROOT = Path(__file__).parents[2]
GOOD = [
    *sorted((ROOT / "recipes").glob("*.yaml")),
    ROOT / "tests/cases/recipes/ok-everything.yaml",
    ROOT / "tests/cases/recipes/ok-extends.yaml",
    ROOT / "tests/cases/recipes/bases/line.yaml",
    *sorted((ROOT / "tests/cases/rules").glob("*.yaml")),
]
VALUES = [
    "", "~", "on", "-1", "1", "true", "1e400", '"', "[", "{", "}", "]", "- ", ": ", "&a ", "*a", "!!str ", "? ", "|", ">=0",
    "#", "\t", "\n", "\n\n  ", "\r", "\u2028", "\x00", "\ud7ff", "'\\x'", "%", "@", "`", "<<: ", "---\n",
    "<<<<<<< a\n>>>>>>> a\n", "${serial}", "${", "$${", "extends: bases/line.yaml\n", "edit-steps",
    "remove", "abstract: true\n",
    "0x08000000", "0xFFFFFFFF+4M", "0-99999", "9" * 70, "level-2", "image", "fields", "steps", "connect", "\\", "../..", "日本",
]  # fmt: skip


@st.composite
def disturbed(draw: st.DrawFn) -> tuple[Path, str]:
    """Return a good recipe's path, and its text with a few parts replaced, removed, doubled or moved."""
    path = draw(st.sampled_from(GOOD))
    text = path.read_text(encoding="utf-8")
    for _ in range(draw(st.integers(1, 5))):
        lines = text.split("\n")
        match draw(st.sampled_from(["splice", "word", "line", "swap", "indent"])):
            case "splice":
                start = draw(st.integers(0, len(text)))
                text = text[:start] + draw(st.sampled_from(VALUES)) + text[start + draw(st.integers(0, 12)) :]
            case "word":
                words = text.split(" ")
                words[draw(st.integers(0, len(words) - 1))] = draw(st.sampled_from(VALUES))
                text = " ".join(words)
            case "line":
                del lines[draw(st.integers(0, len(lines) - 1))]
                text = "\n".join(lines)
            case "swap":
                lines.insert(draw(st.integers(0, len(lines))), draw(st.sampled_from(lines)))
                text = "\n".join(lines)
            case _:
                at = draw(st.integers(0, len(lines) - 1))
                lines[at] = " " * draw(st.integers(0, 6)) + lines[at].lstrip()
                text = "\n".join(lines)
    return path, text


@settings(max_examples=300, deadline=None)
@given(disturbed())
def test_a_disturbed_recipe_gives_findings_with_places_and_nothing_else(recipe: tuple[Path, str]) -> None:
    loaded = load_text(*recipe, sha256="")
    assert (loaded.recipe is None) == any(finding.severity is Severity.ERROR for finding in loaded.findings)
    assert all(finding.place is not None for finding in loaded.findings)
    if loaded.draft is not None:
        judged = loaded.source.attach(interpret(loaded.draft).findings)
        assert all(finding.place is not None for finding in judged)
        assert all(related.place is not None for finding in judged for related in finding.related)
