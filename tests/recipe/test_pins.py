"""Pins edited in a recipe's text: the scalars change, and not one other character does."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfurun.recipe.document import read_document
from dfurun.recipe.pins import FileFacts, NotInPlace, with_pins
from dfurun.units import parse_size

OLD, NEW = "a" * 63 + "1", "b" * 63 + "2"
FOUND = FileFacts(NEW, 13512)


def pinned(text: str, *images: str) -> str:
    """The text with these images (the first, `application`) pinned to what was found."""
    return with_pins(text, dict.fromkeys(images or ("application",), FOUND)).text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"    file: a.hex\n    sha256: '{OLD}' # v1\n", f"    file: a.hex\n    sha256: '{NEW}' # v1\n"),
        (f"    sha256: {OLD}   \n    file: a.hex\n", f"    sha256: {NEW}   \n    file: a.hex\n"),
        (f'    "sha256" : "{OLD}"\n    file: a.hex\n', f'    "sha256" : "{NEW}"\n    file: a.hex\n'),
        ("    file: a.hex # built\n\n    # end\n", f'    file: a.hex # built\n    sha256: "{NEW}"\n\n    # end\n'),
        ("    file: a.hex", f'    file: a.hex\n    sha256: "{NEW}"'),
        ("      file: a.hex\n", f'      file: a.hex\n      sha256: "{NEW}"\n'),
        ("    {file: a.hex}\n", f'    {{file: a.hex, sha256: "{NEW}"}}\n'),
        ('    {"file": "a.hex", "x-a": 1}\n', f'    {{"file": "a.hex", "sha256": "{NEW}", "x-a": 1}}\n'),
        (
            "    {\n      file: a.hex,\n      size: 1,\n    }\n",
            f'    {{\n      file: a.hex, sha256: "{NEW}",\n      size: 13512,\n    }}\n',
        ),
        (
            f"    file: a.hex\n    sha256: '{OLD}'\n    size: 1K # K\n",
            f"    file: a.hex\n    sha256: '{NEW}'\n    size: 13512 # K\n",
        ),
        (
            f"    file: a.hex\n    sha256: '{OLD}'\n    size: '0x10'\n",
            f"    file: a.hex\n    sha256: '{NEW}'\n    size: '0x34C8'\n",
        ),
        (
            f"    file: a.hex\n    sha256: '{NEW}'\n    size: 0x34C8\n",
            f"    file: a.hex\n    sha256: '{NEW}'\n    size: 0x34C8\n",
        ),
    ],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_a_pin_is_put_in_place_and_nothing_else_is_touched(before: str, after: str, line_end: str) -> None:
    head, tail = "# Größe ≠ 0\nimages:\n  application:  # it\n", ""
    if before.endswith("\n"):
        tail = "steps:   [connect]  # all\n\n"
    text, wanted = ((head + entry + tail).replace("\n", line_end) for entry in (before, after))
    assert pinned(text) == wanted
    assert pinned(wanted) == wanted, "a second time there is nothing to do"


def test_a_size_is_written_in_k_where_it_was_and_still_is_whole() -> None:
    text = f"images: {{a: {{file: a.hex, sha256: '{NEW}', size: 12K}}}}\n"
    found = {"a": FileFacts(NEW, 16384)}
    assert with_pins(text, found).text == text.replace("12K", "16K")


def test_two_images_on_one_line_are_both_pinned() -> None:
    text = f"images: {{b: {{file: b.hex}}, a: {{file: a.hex, sha256: '{OLD}', size: 1}}}}\n"
    assert pinned(text, "a", "b") == (
        f"images: {{b: {{file: b.hex, sha256: \"{NEW}\"}}, a: {{file: a.hex, sha256: '{NEW}', size: 13512}}}}\n"
    )


def test_a_plain_hash_that_reads_like_a_number_is_quoted() -> None:
    text = f"images: {{a: {{file: a.hex, sha256: {OLD}}}}}\n"
    digits = "1" * 64
    found = {"a": FileFacts(digits, 1)}
    assert with_pins(text, found).text == text.replace(OLD, f'"{digits}"')


@pytest.mark.parametrize(
    "entry",
    [
        f"    file: a.hex\n    sha256: >-\n      {OLD}\n",
        "    file:\n      a\n      b.hex\n",
        "    ? file\n    : a.hex\n",
        "    file: >-\n      a.hex\n",
    ],
)
def test_what_cannot_be_changed_in_place_is_refused_with_its_image(entry: str) -> None:
    with pytest.raises(NotInPlace) as refused:
        pinned(f"images:\n  application:\n{entry}steps: [connect]\n")
    assert refused.value.finding.path[:2] == ("images", "application")
    assert "on one line" in refused.value.finding.hint


def test_an_image_whose_entry_stands_in_another_file_is_left_to_that_file() -> None:
    text = "images: {own: {file: a.hex}}\n"
    done = with_pins(text, {"own": FOUND, "of-the-base": FOUND})
    assert [change.image for change in done.changes] == ["own"]


def test_a_pin_over_that_of_a_base_is_changed_where_it_stands() -> None:
    text = f"images: {{application: {{sha256: '{OLD}'}}}}\n"
    assert pinned(text) == text.replace(OLD, NEW)


@pytest.mark.parametrize("key", ["sha256", "size"])
def test_a_pin_that_comes_from_a_variable_is_not_overwritten(key: str) -> None:
    with pytest.raises(NotInPlace, match=f"`{key}` of image `application` comes from a variable"):
        pinned(f'images: {{application: {{file: a.hex, {key}: "${{pin}}"}}}}\n')


HASHES = st.text("0123456789abcdef", min_size=64, max_size=64)
COMMENTS = st.sampled_from(["", "  # why", " # {file: x}", "   "])


@st.composite
def entries(draw: st.DrawFn) -> str:
    """An image's entry in one of the forms that people write."""
    quote = draw(st.sampled_from(['"', "'"]))
    keys = ["file: a.hex"]
    if draw(st.booleans()):
        keys.append(f"sha256: {quote}{draw(HASHES)}{quote}")
    if draw(st.booleans()):
        keys.append(f"size: {draw(st.sampled_from(['0', '16K', '0x20', '13512']))}")
    if draw(st.booleans()):
        keys.append("x-note: [a, {b: c}]")
    keys = draw(st.permutations(keys))
    if draw(st.booleans()):
        return "application: {" + ", ".join(keys) + "}" + draw(COMMENTS)
    indent = "\n" + " " * draw(st.integers(3, 8))
    return "application:" + draw(COMMENTS) + "".join(indent + key + draw(COMMENTS) for key in keys)


@given(entries(), HASHES, st.integers(0, 1 << 20), st.sampled_from(["\n", "\r\n", "\r"]), st.booleans())
def test_only_the_lines_of_the_pins_change(entry: str, sha256: str, size: int, line_end: str, at_end: bool) -> None:
    text = f"dfurun: 1\nimages:\n  {entry}" + ("" if at_end else "\nsteps: [connect] # é\n")
    text = text.replace("\n", line_end)
    found = FileFacts(sha256, size)
    done = with_pins(text, {"application": found})

    values = read_document(done.text, "")
    image = values.value["images"]["application"]
    assert not values.findings
    assert image["sha256"] == sha256
    assert "size" not in image or parse_size(image["size"]) == size
    bare = re.compile(r"""((?:, |[\r\n]+ +)?sha256: ("|')[0-9a-f]{64}\2|size: \w+)""")
    assert bare.sub("", done.text) == bare.sub("", text)
