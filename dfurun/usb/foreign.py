"""Clones on the bus: devices in DFU mode that look like an STM32 and are none. Only their strings are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dfurun.chips.clones import Clone, clone_like
from dfurun.dfuse.link import DeviceDescription
from dfurun.errors import Code, Refused
from dfurun.usb.port import PortPath
from dfurun.usb.strings import read_string


def clone_at(device: Any) -> Clone | None:
    """Return the clone that a device of pyusb's is by its ids and strings, None where it is no known one. It is not opened."""
    product = read_string(device, device.iProduct) or ""
    return clone_like((device.idVendor, device.idProduct), product, tuple(_alternates(device)))


def clone_told(description: DeviceDescription) -> Clone | None:
    """Return the clone that an open device says it is, None where it says it is none."""
    ids = (description.vendor_id, description.product_id)
    return clone_like(ids, description.product, [alternate.name for alternate in description.alternates])


def refusal(clone: Clone, port: PortPath) -> Refused:
    """Return the refusal of a clone. There is no consent to ask for: what is known of an STM32 is wrong for it."""
    return Refused(
        Code.CLONE,
        f"the device at {port} is {clone}, and no STM32: it only looks like one",
        consequence="nothing was sent to it",
        hint="use its vendor's tool: dfurun has no data of its pages, option bytes and times, and an STM32's are wrong for it",
        evidence=[f"known of it: {clone.known} ({clone.source})"] if clone.known else [],
    )


def _alternates(device: Any) -> Iterator[str]:
    import usb.core

    try:
        for configuration in device:
            for setting in configuration:
                yield read_string(device, setting.iInterface) or ""
    except usb.core.USBError:  # what was read so far is enough, or its ids are
        return
