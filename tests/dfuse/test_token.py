"""The token of a board: what goes in comes out, whatever happens to it on the way is found."""

from __future__ import annotations

import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfurun.chips import chip_names, load_chip
from dfurun.chips.index import entries
from dfurun.dfuse.protection import Verdict
from dfurun.dfuse.token import BoardToken, TokenError, digest_of, looks_like_token, parse_token
from dfurun.text import from_device

ALPHABET = string.ascii_letters + string.digits + "-._ \n"
texts = st.lists(st.text(min_size=1, max_size=40).map(from_device), min_size=1, max_size=5).map(tuple)
u16 = st.integers(0, 0xFFFF)
tokens = st.builds(
    BoardToken,
    chip=st.sampled_from(chip_names()),
    vendor_id=u16,
    product_id=u16,
    release=u16,
    transfer_size_bytes=u16,
    commands=st.binary(max_size=6),
    verdict=st.sampled_from(Verdict),
    texts_digest=st.binary(min_size=4, max_size=4),
    flash_empty=st.booleans(),
    user_dfu=st.booleans(),
    bootloader_id=st.none() | st.integers(0, 0xFF),
    flash_size_kib=st.none() | u16,
    option_bytes=st.none() | st.binary(max_size=300),
    unique_id=st.none() | st.binary(min_size=12, max_size=12),
    texts=st.none() | texts,
)  # fmt: skip

PLAIN = BoardToken(
    chip="stm32f072xb",
    vendor_id=0x0483,
    product_id=0xDF11,
    release=0x2200,
    transfer_size_bytes=2048,
    commands=bytes.fromhex("00214192"),
    verdict=Verdict.UNPROTECTED,
    texts_digest=digest_of(["a"]),
    bootloader_id=0xA1,
    flash_size_kib=128,
    option_bytes=bytes.fromhex("AA557788FF00FF00FF00FF00FF00FF00"),
)


@given(tokens)
def test_a_token_says_what_it_was_made_of(token: BoardToken) -> None:
    assert parse_token(str(token)) == token


@given(tokens, st.randoms(use_true_random=False))
def test_case_line_breaks_and_what_stands_around_it_do_not_matter(token: BoardToken, chance: random.Random) -> None:
    text = str(token)
    assert set(text) <= set(string.ascii_lowercase + string.digits + "-")
    mixed = "".join(chance.choice((c.upper(), c)) + chance.choice(("", "", "", "\n", "\r\n ")) for c in text)
    assert parse_token(f" `{mixed}`.\n") == token
    assert looks_like_token(f'"{mixed}"')


@given(tokens, st.data())
def test_any_one_character_that_is_another_missing_or_too_many_is_found(token: BoardToken, data: st.DataObject) -> None:
    text = str(token)
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from(ALPHABET.replace(" ", "").replace("\n", "")))
    for damaged in (
        text[:place] + other + text[place + 1 :],
        text[:place] + text[place + 1 :],
        text[:place] + other + text[place:],
    ):
        if damaged.lower().strip(".") == text:
            continue
        with pytest.raises(TokenError):
            parse_token(damaged)


def test_every_single_damage_of_one_token_is_found() -> None:
    text = str(PLAIN)
    for place, right in enumerate(text):
        for other in set(string.ascii_lowercase + string.digits + "-\u2013\u0430") - {right}:
            with pytest.raises(TokenError):
                parse_token(text[:place] + other + text[place + 1 :])
    for place in range(len(text) - 1):
        swapped = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
        if swapped != text:
            with pytest.raises(TokenError):
                parse_token(swapped)


@given(st.text(max_size=200) | st.from_regex(r"dfurun1-[a-z0-9]{1,12}-[a-z2-7]{1,99}", fullmatch=True))
def test_any_other_text_is_no_token_and_nothing_worse(text: str) -> None:
    with pytest.raises(TokenError):
        parse_token(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("boot", "this is no token of a board"),
        ("dfurun2-stm32f072xb-aaaa", "the token has version 2, and this dfurun reads version 1"),
        (str(PLAIN)[:-7], "the token is damaged: its checksum does not fit"),
        (str(PLAIN) + "a" * 9000, "the token is damaged"),
    ],
)
def test_what_is_wrong_is_said(text: str, said: str) -> None:
    with pytest.raises(TokenError, match=said):
        parse_token(text)


def test_a_token_of_a_board_is_a_good_length_for_every_chip() -> None:
    assert len(str(PLAIN)) <= 90
    for entry in entries():
        chip = load_chip(entry.names[0])
        whole = BoardToken(
            chip.name, chip.usb.vendor_id, chip.usb.product_id, chip.usb.release, chip.usb.transfer_size_bytes,
            bytes(chip.rom.commands), Verdict.UNPROTECTED, b"\0" * 4, bootloader_id=1, flash_size_kib=128,
            option_bytes=chip.option_bytes.factory,
        )  # fmt: skip
        assert len(str(whole)) <= 400


def test_version_1_is_read_as_it_was_written_first() -> None:
    text = "dfurun1-stm32f072xb-aevwa2dgcg6m7igeyda4fihihdu5j5cgugcq2dacbsvufsz37yzsaiaaxngqftq"
    assert parse_token(text) == PLAIN  # another zlib may deflate otherwise, and what it makes is read all the same
