"""A comparison of recipes as one object of the JSON Lines stream."""

from __future__ import annotations

from typing import Any

from dfurun.diff import Change
from dfurun.diff.change import Boot, Firmware, FirmwareChange, OptionDifference
from dfurun.diff.comparison import Comparison


def comparison_object(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as JSON values; `changes` is null where a side does not compile."""
    difference = comparison.difference
    return {
        "event": "diff",
        "recipe": comparison.name,
        "was": comparison.old_name,
        "before": comparison.old_label,
        "after": comparison.new_label,
        "base": comparison.is_base,
        "stand_ins": {name: list(values) for name, values in comparison.stand_ins.items()},
        "broken": list(comparison.broken_sides),
        "rank": difference.rank if difference else None,
        "changes": [_change(change) for change in difference.changes] if difference else None,
        "firmware": [_firmware_change(found) for found in difference.firmware] if difference else [],
        "option_bytes": _options(difference.options) if difference and difference.options else None,
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "rank": change.rank,
        "subject": change.subject,
        "kind": change.kind,
        "what": change.what,
        "before": change.before or None,
        "after": change.after or None,
        "why": change.why,
    }


def _firmware_change(found: FirmwareChange) -> dict[str, Any]:
    return {
        "image": found.name,
        "before": _firmware(found.before),
        "after": _firmware(found.after),
        "changed_pages": sorted(found.changed_pages),
        "added_pages": sorted(found.added_pages) if found.flash else None,
        "gone_pages": sorted(found.gone_pages) if found.flash else None,
        "changed_bytes": found.changed_bytes,
    }


def _firmware(side: Firmware | None) -> dict[str, Any] | None:
    if side is None:
        return None
    return {
        "file": side.file,
        "data": side.image.inline,
        "sha256": side.image.sha256,
        "pinned": side.image.pinned,
        "swapped": side.image.swapped,
        "size": side.size_bytes,
        "pages": sorted(side.pages),
        "stack_pointer": side.stack,
        "reset_vector": side.reset,
    }


def _options(options: OptionDifference) -> dict[str, Any]:
    return {
        "fields": [
            {
                "field": found.field.name,
                "offset": found.offset,
                "bit": found.field.bit,
                "width": found.field.width,
                "before": found.before,
                "after": found.after,
                "bits_before": found.before_bits,
                "bits_after": found.after_bits,
            }
            for found in options.fields
        ],
        "boot": [
            {"boot0": level, "before": _boot(before), "after": _boot(options.boots_after[level])}
            for level, before in options.boots_before.items()
        ],
        "protected_pages_before": _sorted(options.protected_before),
        "protected_pages_after": _sorted(options.protected_after),
    }


def _boot(boot: Boot) -> dict[str, Any]:
    return {"starts": sorted(boot.targets), "decided_by": list(boot.open_fields)}


def _sorted(pages: frozenset[int] | None) -> list[int] | None:
    return None if pages is None else sorted(pages)
