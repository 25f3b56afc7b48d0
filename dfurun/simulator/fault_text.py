"""The text form of faults, in which the command line asks for them.

    NAME[:key=value,...]        stall:request=UPLOAD,count=2      missed-service:p=0.7,seed=3      vanish:at=120,back=2

Every fault takes `skip=N` (let N occasions pass), `count=N` or `count=always`, `p=PROBABILITY` and `seed=N`; the same text on
the same transfers does the same.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from dfurun.chips import EarlyPoll, Execution
from dfurun.dfuse.protocol import DfuState, DfuStatus, Request
from dfurun.simulator.fault import Fault, Impostor
from dfurun.simulator.faults import FAULTS, NamedFault, Settings
from dfurun.simulator.faults.named import Stored, StringKind, WhichString
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
_STATUSES = {status.spelled: status for status in DfuStatus if status is not DfuStatus.OK}
_STATES = {
    state.spelled: state
    for state in (
        DfuState.DNLOAD_SYNC,
        DfuState.DNBUSY,
        DfuState.DNLOAD_IDLE,
        DfuState.UPLOAD_IDLE,
        DfuState.MANIFEST_SYNC,
        DfuState.ERROR,
    )
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
        if key == "for" and kind.operations and value not in kind.operations:
            raise ValueError(f"the fault {name}: for={value}: it concerns {' and '.join(kind.operations)} alone")
        try:
            values[KEYS[key].field] = KEYS[key].convert(value)
        except ValueError as error:
            raise ValueError(f"the fault {name}: {key}={value}: {error}") from None
    for key, example in kind.needs.items():
        if KEYS[key].field not in values:
            raise ValueError(f"the fault {name} needs {key}=, as in {name}:{key}={example}")
    defaults = {field: getattr(kind.defaults, field) for field in Settings.__slots__}
    settings = Settings(**(defaults | values))
    objection = kind.objection(settings)
    if objection is not None:
        raise ValueError(f"the fault {name}: {objection}")
    return kind(settings)


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
    value = _number(text)
    if value > 1:
        raise ValueError("expected a probability from 0 to 1")
    return value


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError("expected a number") from None
    if not 0 <= value < float("inf"):
        raise ValueError("expected a number from 0 on")
    return value


def _part(text: str) -> float:
    value = _number(text)
    if value > 1:
        raise ValueError("expected a part from 0 to 1")
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


def _one_of(known: Iterable[str], what: str) -> Callable[[str], str]:
    """Return what takes one of these words; `known` is an enumeration of strings or a table by words."""
    words = {str(word): word for word in known}

    def convert(text: str) -> str:
        if text not in words:
            raise ValueError(f"no such {what}{_did_you_mean(text, words)}")
        return words[text]

    return convert


def _poll_time(text: str) -> float:
    if not text.isdecimal() or int(text) > _LONGEST_POLL_TIME_MS:
        raise ValueError(f"expected a number of milliseconds from 0 to {_LONGEST_POLL_TIME_MS}")
    return _decimal(text) / 1000


def _operation(text: str) -> tuple[Action, ...]:
    return _ACTIONS[_one_of(_ACTIONS, "operation")(text)]


def _status(text: str) -> DfuStatus:
    return _STATUSES[_one_of(_STATUSES, "status")(text)]


def _state(text: str) -> DfuState:
    return _STATES[_one_of(_STATES, "state")(text)]


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a fault's text: the setting it is for, how its value is read, what it takes, and what None stands for."""

    field: str
    convert: Callable[[str], object]
    takes: str
    unset: str = ""


KEYS: dict[str, Key] = {
    "skip": Key("skip", _whole, "N"),
    "count": Key("count", _count, "N|always", "always"),
    "p": Key("probability", _probability, "0..1"),
    "seed": Key("seed", _whole, "N"),
    "request": Key("request", _request, "NAME", "any"),
    "direction": Key("direction", _direction, "in|out", "either"),
    "data": Key("data_only", _flag, "0|1"),
    "at": Key("at", _whole, "N", "0"),
    "back": Key("back_s", _number, "SECONDS", "never"),
    "part": Key("part", _part, "0..1"),
    "s": Key("later_s", _number, "SECONDS"),
    "mode": Key("execution", _one_of(Execution, "mode"), "|".join(Execution)),
    "answer": Key("early_poll", _one_of(EarlyPoll, "answer"), "|".join(EarlyPoll)),
    "ms": Key("poll_time_s", _poll_time, f"0..{_LONGEST_POLL_TIME_MS}"),
    "volts": Key("supply_v", _number, "VOLTS"),
    "for": Key("actions", _operation, "|".join(_ACTIONS), "all it concerns"),
    "upload": Key("uploads", _flag, "0|1"),
    "getstate": Key("getstate", _flag, "0|1"),
    "status": Key("status", _status, "|".join(_STATUSES)),
    "state": Key("state", _state, "|".join(_STATES)),
    "stored": Key("stored", _one_of(Stored, "download"), "|".join(Stored), "nothing"),
    "page": Key("page_index", _whole, "N"),
    "bytes": Key("length_bytes", _whole, "N", "half"),
    "what": Key("impostor", _one_of(Impostor, "impostor"), "|".join(Impostor)),
    "kind": Key("string", _one_of(StringKind, "kind"), "|".join(StringKind)),
    "which": Key("which", _one_of(WhichString, "string"), "|".join(WhichString), "all"),
}
EVERY_FAULT_TAKES = tuple(key for key in KEYS if key in NamedFault.keys)
