"""The text form of faults, in which the command line asks for them.

    NAME[:key=value,...]        stall:request=UPLOAD,count=2      missed-service:p=0.7,seed=3      vanish:at=120,back=2

Every fault takes `skip=N` (let N occasions pass), `count=N` or `count=always`, `p=PROBABILITY` and `seed=N`; the same text on
the same transfers does the same.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable

from dfurun.chips import EarlyPoll, Execution
from dfurun.dfuse.protocol import Request
from dfurun.simulator.fault import Fault
from dfurun.simulator.faults import FAULTS, Settings
from dfurun.simulator.operation import Action
from dfurun.simulator.transfer import StandardRequest
from dfurun.units import in_both_bases

_REQUESTS = tuple(r.name for r in (*Request, *StandardRequest))
_LONGEST_POLL_TIME_MS = 0xFF_FFFF
_ACTIONS = {
    "set-address": (Action.SET_ADDRESS,),
    "erase": (Action.ERASE_PAGE,),
    "mass-erase": (Action.ERASE_ALL,),
    "write": (Action.PROGRAM, Action.WRITE_RAM, Action.WRITE_OTP, Action.WRITE_DEVICE_FEATURE),
    "option-bytes": (Action.WRITE_OPTION_BYTES,),
    "read-unprotect": (Action.READ_UNPROTECT,),
}


def parse_fault(text: str) -> Fault:
    """Return the fault that `NAME[:key=value,...]` asks for; raise ValueError that says what is meant, where it can."""
    name, _, rest = text.partition(":")
    if name not in FAULTS:
        raise ValueError(f"there is no fault {name!r}{_did_you_mean(name, FAULTS)}")
    kind = FAULTS[name]
    values: dict[str, object] = {}
    for item in rest.split(",") if rest else ():
        key, equals, value = item.partition("=")
        if not equals:
            raise ValueError(f"{text!r}: {item!r} is not key=value")
        if key not in kind.keys:
            raise ValueError(f"the fault {name} has no {key!r}{_did_you_mean(key, kind.keys)}")
        field, convert = _CONVERSIONS[key]
        try:
            values[field] = convert(value)
        except ValueError as error:
            raise ValueError(f"the fault {name}: {key}={value}: {error}") from None
    for key, example in kind.needs.items():
        if _CONVERSIONS[key][0] not in values:
            raise ValueError(f"the fault {name} needs {key}=, as in {name}:{key}={example}")
    defaults = {field: getattr(kind.defaults, field) for field in Settings.__slots__}
    return kind(Settings(**(defaults | values)))


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    names = sorted(str(name) for name in known)
    close = difflib.get_close_matches(word, names, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(names)}"


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise ValueError("expected a number from 0 on")
    return _decimal(text)


def _count(text: str) -> int | None:
    if text == "always":
        return None
    if not text.isdecimal() or int(text) == 0:
        raise ValueError("expected a number from 1 on, or 'always'")
    return _decimal(text)


def _decimal(text: str) -> int:
    if meanings := in_both_bases(text):
        raise ValueError(f"it begins with a zero; {meanings}")
    return int(text)


def _probability(text: str) -> float:
    value = _seconds(text)
    if value > 1:
        raise ValueError("expected a probability from 0 to 1")
    return value


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError("expected a number") from None
    if not 0 <= value < float("inf"):
        raise ValueError("expected a number from 0 on")
    return value


def _request(text: str) -> str:
    if text.upper() not in _REQUESTS:
        raise ValueError(f"no such request{_did_you_mean(text.upper(), _REQUESTS)}")
    return text.upper()


def _direction(text: str) -> str:
    if text not in ("in", "out"):
        raise ValueError("expected in or out")
    return text


def _flag(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError("expected 0 or 1")
    return text == "1"


def _mode(text: str) -> Execution:
    if text not in list(Execution):
        raise ValueError(f"no such mode{_did_you_mean(text, Execution)}")
    return Execution(text)


def _answer(text: str) -> EarlyPoll:
    if text not in list(EarlyPoll):
        raise ValueError(f"no such answer{_did_you_mean(text, EarlyPoll)}")
    return EarlyPoll(text)


def _poll_time(text: str) -> float:
    if not text.isdecimal() or int(text) > _LONGEST_POLL_TIME_MS:
        raise ValueError(f"expected a number of milliseconds from 0 to {_LONGEST_POLL_TIME_MS}")
    return _decimal(text) / 1000


def _operation(text: str) -> tuple[Action, ...]:
    if text not in _ACTIONS:
        raise ValueError(f"no such operation{_did_you_mean(text, _ACTIONS)}")
    return _ACTIONS[text]


_CONVERSIONS: dict[str, tuple[str, Callable[[str], object]]] = {
    "skip": ("skip", _whole),
    "count": ("count", _count),
    "p": ("probability", _probability),
    "seed": ("seed", _whole),
    "request": ("request", _request),
    "direction": ("direction", _direction),
    "data": ("data_only", _flag),
    "at": ("at", _whole),
    "back": ("back_s", _seconds),
    "mode": ("execution", _mode),
    "answer": ("early_poll", _answer),
    "ms": ("poll_time_s", _poll_time),
    "for": ("actions", _operation),
}
