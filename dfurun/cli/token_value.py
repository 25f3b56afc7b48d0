"""`dfurun info --token` prints a token; `dfurun info --sim --token TOKEN` takes one, as every other command does."""

from __future__ import annotations

from collections.abc import Sequence

PRINTS, TAKES = "--token", "--sim-token"


def with_token_value(arguments: Sequence[str]) -> list[str]:
    """Return the arguments of `info` with the other option in the place of a `--token` that has a value: a word behind it."""
    if arguments[:1] != ["info"]:
        return list(arguments)
    followers = [*arguments[1:], "-"]
    return [
        TAKES
        if word == PRINTS and not follower.startswith("-")
        else word.replace(f"{PRINTS}=", f"{TAKES}=", 1)
        if word.startswith(f"{PRINTS}=")
        else word
        for word, follower in zip(arguments, followers, strict=True)
    ]
