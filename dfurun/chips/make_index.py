"""Making the index of the chip data; `make docs` writes it, and a test sees that it is that of the files."""

from __future__ import annotations

import json

from dfurun.chips.database import chip_from_facts, family_names, read_family
from dfurun.chips.family import facts_of, variants
from dfurun.resources import yaml_data


def index_text() -> str:
    """Return the index that the families' files give, a line an entry."""
    default = yaml_data("dfurun.chips", "default.yaml")["simulated-board"]
    lines = []
    for file in family_names():
        family = read_family(file)
        numbers = {id(line): number for number, line in enumerate(family["lines"])}
        for variant in variants(family):
            facts = facts_of(family, variant.names[0])
            chip = chip_from_facts(facts)
            entry = {
                "names": variant.names,
                "file": file,
                "line": numbers[id(variant.line)],
                "family": family["family"],
                "core": chip.core,
                "device-id": facts["device-id"],
                "usb": [chip.usb.vendor_id, chip.usb.product_id],
                "product": chip.usb.product,
                "flash": [chip.flash.extent.start, chip.flash.extent.size_bytes],
                "ram": chip.ram.size_bytes,
                "alternates": chip.usb.alternates,
                "serial": chip.usb.serial,
                "predicted": chip.usb.predicted,
                "errata": chip.errata,
            }
            lines.append(json.dumps(entry))
    return f'{{"default": {json.dumps(default)}, "chips": [\n' + ",\n".join(lines) + "\n]}\n"
