"""The computer that the boards are plugged into: its software, its permissions, its drivers and its ports, as they are.

Everything here looks and changes nothing. What it means is judged by `dfurun.usb.doctor`.

# Ref: Linux, Documentation/ABI/stable/sysfs-bus-usb and testing/sysfs-bus-usb (speed, product, driver).
"""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from dfurun.text import from_device
from dfurun.usb.libusb import Libusb, find_libusb
from dfurun.usb.port import PortPath
from dfurun.usb.udev import RULES_FILE, rule_for_boards, shipped_rule

SYSFS = Path("/sys/bus/usb/devices")
USBFS = Path("/dev/bus/usb")


@dataclass(frozen=True, slots=True)
class Software:
    """What carries the transfers: Python, pyusb and libusb, empty or None where there is none."""

    python: str
    pyusb: str
    libusb: Libusb | None

    def __str__(self) -> str:
        return f"Python {self.python}, pyusb {self.pyusb}, {self.libusb or 'no libusb that works'}"


@dataclass(frozen=True, slots=True)
class Plug:
    """Where a board is plugged in, as far as this system tells; empty where it does not.

    `speed` is in Mbit/s; `hub` is the hub between board and computer, `controller` the host controller and its driver;
    `driver` has the DFU interface, and `node` is the device's file, which this user may open or not.
    """

    speed: str = ""
    hub: str = ""
    controller: str = ""
    driver: str = ""
    node: str = ""
    may_open: bool | None = None


@dataclass(frozen=True, slots=True)
class Host:
    """This computer. `platform` is Python's name of the system; the rest of the udev part is Linux's alone."""

    platform: str
    system: str
    software: Software
    is_root: bool = False
    usbfs: bool = True
    rule: str = ""
    shipped_rule: str = RULES_FILE


def software() -> Software:
    """Return what carries the transfers on this computer."""
    try:
        pyusb = metadata.version("pyusb")
    except metadata.PackageNotFoundError:
        pyusb = ""
    return Software(platform.python_version(), pyusb, find_libusb())


def look_at_host() -> Host:
    """Return what this computer is."""
    geteuid = getattr(os, "geteuid", None)
    return Host(
        platform=sys.platform,
        system=platform.platform(),
        software=software(),
        is_root=geteuid is not None and geteuid() == 0,
        usbfs=USBFS.is_dir(),
        rule=rule_for_boards(),
        shipped_rule=shipped_rule(),
    )


def plug_of(port: PortPath, address: int, sysfs: Path = SYSFS, usbfs: Path = USBFS) -> Plug:
    """Return where the board at `port` is plugged in; everything is empty where there is no sysfs."""
    device = sysfs / str(port)
    if not device.is_dir():
        return Plug()
    root = sysfs / f"usb{port.bus}"
    node = usbfs / f"{port.bus:03}" / f"{address:03}"
    hub = sysfs / str(PortPath(port.bus, port.ports[:-1])) if len(port.ports) > 1 else None
    return Plug(
        speed=_text(device / "speed"),
        hub="" if hub is None else _named(hub),
        controller=", ".join(
            word for word in (_text(root / "product"), _link(root.resolve().parent / "driver")) if word
        ),
        driver=_link(sysfs / f"{port}:1.0" / "driver"),
        node=str(node),
        may_open=os.access(node, os.R_OK | os.W_OK),
    )


def _named(device: Path) -> str:
    """Return a hub's name and speed: `USB2.0 Hub, 480 Mbit/s`."""
    speed = _text(device / "speed")
    words = [_text(device / "product") or device.name, f"{speed} Mbit/s" if speed else ""]
    return ", ".join(word for word in words if word)


def _text(path: Path) -> str:
    """Return a device's attribute, empty where there is none; a hub's name is its string descriptor, a stranger's text."""
    try:
        return from_device(path.read_text(encoding="utf-8", errors="replace").strip())
    except OSError:
        return ""


def _link(path: Path) -> str:
    """Return the name of what a symbolic link points to, empty where there is none."""
    try:
        return path.readlink().name
    except OSError:
        return ""
