"""What to do about a board that cannot be found or opened, by operating system."""

from __future__ import annotations

import sys

from dfurun.usb import udev

ENTER_DFU = (
    "to enter DFU: hold BOOT0 high, reset or power-cycle the board, "
    "and connect its USB data lines (a charge-only cable has none)"
)


def permission_hint(platform: str = sys.platform) -> str:
    """Say how this system's users get access to the board."""
    if platform.startswith("linux"):
        return udev.permission_hint(udev.rule_for_boards(), udev.shipped_rule())
    if platform == "win32":
        return driver_hint(platform)
    return "another program or driver holds the board: close it, or unplug and replug the board"


def driver_hint(platform: str = sys.platform) -> str:
    """Say how this system's users get a driver that libusb can use."""
    if platform == "win32":
        return (
            "Windows has bound a driver that libusb cannot use (ST's STTub30, for one): "
            "with Zadig, replace the driver of 'STM32  BOOTLOADER' by WinUSB"
        )
    return "the system's driver for the board cannot be used by libusb: unplug and replug the board"


def busy_hint() -> str:
    """Say what to do about a board that another program has open."""
    return (
        "another program has the board open: close vendor tools, virtual machines and other dfurun runs, then run again"
    )
