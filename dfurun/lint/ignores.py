"""`x-lint-ignore`: which findings an author has looked at and keeps, and why; at the top, in an image, in data, in a body."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dfurun.errors import Code, Finding, RecipePath, Severity
from dfurun.steps.step import did_you_mean

KEY = "x-lint-ignore"
EXAMPLE = f'for example `{KEY}: [{{code: never-starts, reason: "the test station starts it"}}]`'
_OWN = (Code.LINT_IGNORE_BAD, Code.LINT_IGNORE_UNUSED)
SILENCEABLE = {
    code.label: code
    for code in Code
    if (code.is_advice and code not in _OWN)
    or (code.severity is Severity.WARNING and code.exit_status.name == "INVALID")
}


@dataclass(frozen=True, slots=True)
class Ignore:
    """One entry: a code is silenced in what `owner` leads to; an empty path is the whole recipe."""

    code: Code
    reason: str
    owner: RecipePath
    path: RecipePath

    def covers(self, finding: Finding) -> bool:
        """Say whether the finding is of this code, and about what the entry stands in."""
        return finding.code is self.code and finding.path[: len(self.owner)] == self.owner


def read_ignores(values: Mapping[str, Any]) -> tuple[list[Ignore], list[Finding]]:
    """Return the entries of a sound recipe, and what is wrong with others."""
    ignores: list[Ignore] = []
    wrong: list[Finding] = []
    for owner, holder in _holders(values):
        path = (*owner, KEY)
        wrong += [
            _bad(f"`{key}` silences nothing", (*owner, key), f"did you mean {KEY!r}?", on_key=True)
            for key in holder
            if key.startswith("x-lint") and key != KEY
        ]
        listed = holder.get(KEY)
        if KEY not in holder:
            continue
        if not isinstance(listed, list) or not listed:
            wrong.append(_bad(f"`{KEY}` is a list of codes with reasons", path, EXAMPLE, on_key=True))
            continue
        for index, entry in enumerate(listed):
            found = _entry(entry, owner, (*path, index))
            if isinstance(found, Ignore):
                ignores.append(found)
            else:
                wrong.append(found)
    return ignores, wrong


def _holders(values: Mapping[str, Any]) -> Iterator[tuple[RecipePath, Mapping[str, Any]]]:
    """Yield every mapping of a sound recipe that takes `x-` keys, and where it is."""
    yield (), values
    for key in ("images", "data"):
        for name, entry in values.get(key, {}).items():
            yield (key, name), entry
    for index, step in enumerate(values["steps"]):
        if isinstance(step, dict):
            for keyword, body in step.items():
                yield ("steps", index, keyword), body or {}


def _entry(entry: Any, owner: RecipePath, path: RecipePath) -> Ignore | Finding:
    if not isinstance(entry, dict) or not {"code", "reason"} >= entry.keys():
        return _bad("an entry has a `code` and a `reason`, and nothing else", path, EXAMPLE)
    label, reason = entry.get("code"), entry.get("reason")
    if not isinstance(label, str) or label not in SILENCEABLE:
        return _unknown(label, (*path, "code") if "code" in entry else path)
    if not isinstance(reason, str) or not reason.strip():
        at = (*path, "reason") if "reason" in entry else path
        return _bad(f"`{label}` is silenced without a reason", at, "`reason:` tells reviewers why it is right here")
    return Ignore(SILENCEABLE[label], reason.strip(), owner, path)


def _unknown(label: Any, path: RecipePath) -> Finding:
    codes = {code.label: code for code in Code}
    known = codes.get(label) if isinstance(label, str) else None
    if known in _OWN:
        return _bad(f"`{label}` cannot be silenced: mend or remove the entry that it is about", path, "")
    if known is not None:
        return _bad(f"`{label}` is not a finding of lint, nor a warning of check", path, "errors have to be mended")
    message = "an entry needs the `code` that it silences" if label is None else f"lint has no code `{label}`"
    near = did_you_mean(label, SILENCEABLE) if isinstance(label, str) else ""
    return _bad(message, path, near if near.startswith("did") else "`dfurun explain` lists the codes")


def _bad(message: str, path: RecipePath, hint: str, *, on_key: bool = False) -> Finding:
    return Finding(Code.LINT_IGNORE_BAD, message, path, hint=hint, on_key=on_key)


def unused(ignore: Ignore) -> Finding:
    """Return the finding about an entry that silences nothing."""
    where = "in the recipe" if not ignore.owner else "here"
    message = f"nothing {where} is `{ignore.code}`"
    hint = "remove the entry: it would hide the next finding of that code"
    return Finding(Code.LINT_IGNORE_UNUSED, message, ignore.path, hint=hint)
