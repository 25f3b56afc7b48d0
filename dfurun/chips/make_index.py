"""Making the index of the chip data; `make docs` writes it, and a test sees that it is that of the files."""

from __future__ import annotations

import json

from dfurun.chips.database import chip_from_facts, family_names, read_family
from dfurun.chips.family import facts_of, variants


def index_text() -> str:
    """Return the index that the families' files give, a line an entry."""
    lines = []
    for file in family_names():
        family = read_family(file)
        for variant in variants(family):
            chip = chip_from_facts(facts_of(family, variant.names[0]))
            entry = {
                "names": variant.names,
                "file": file,
                "usb": [chip.usb.vendor_id, chip.usb.product_id],
                "flash": [chip.flash.extent.start, chip.flash.extent.size_bytes],
                "alternates": chip.usb.alternates,
                "serial": chip.usb.serial,
            }
            lines.append(json.dumps(entry))
    return "[\n" + ",\n".join(lines) + "\n]\n"
