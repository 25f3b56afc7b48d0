"""pyusb's errors in our words: one table, tested line by line."""

from __future__ import annotations

import errno

import pytest
import usb.core

from dfurun.dfuse.link import Denied, Garbled, LinkError, Stalled, TimedOut, Vanished
from dfurun.errors import AccessDenied, Code
from dfurun.usb import hints, udev
from dfurun.usb.errors import as_access_denied, as_link_error


@pytest.mark.parametrize(
    ("libusb_code", "number", "kind"),
    [
        (-1, errno.EIO, Garbled),
        (-3, errno.EACCES, Denied),
        (-4, errno.ENODEV, Vanished),
        (-5, errno.ENOENT, Vanished),
        (-6, errno.EBUSY, Denied),
        (-7, errno.ETIMEDOUT, TimedOut),
        (-8, errno.EOVERFLOW, Garbled),
        (-9, errno.EPIPE, Stalled),
        (-12, errno.ENOSYS, Denied),
        (-99, None, Garbled),  # LIBUSB_ERROR_OTHER
        (None, errno.EPIPE, Stalled),
        (None, errno.ETIMEDOUT, TimedOut),
        (None, errno.ENODEV, Vanished),
        (None, errno.ENXIO, Vanished),
        (None, errno.EPERM, Denied),
        (None, errno.EBUSY, Denied),
        (None, errno.EIO, Garbled),
        (None, None, Garbled),
    ],
)
def test_an_error_of_pyusb_becomes_one_of_five(
    libusb_code: int | None, number: int | None, kind: type[LinkError]
) -> None:
    translated = as_link_error(usb.core.USBError("what libusb said", libusb_code, number))
    assert type(translated) is kind
    assert "what libusb said" in str(translated)


def test_a_timeout_is_also_a_timeout_error() -> None:
    assert isinstance(as_link_error(usb.core.USBTimeoutError("timed out", -7, errno.ETIMEDOUT)), TimeoutError)


@pytest.mark.parametrize(
    ("libusb_code", "number", "code", "message", "hint"),
    [
        (-3, errno.EACCES, Code.NO_PERMISSION, "may not be opened by this user", hints.permission_hint()),
        (None, errno.EPERM, Code.NO_PERMISSION, "may not be opened by this user", hints.permission_hint()),
        (-6, errno.EBUSY, Code.DEVICE_BUSY, "is in use by another program", hints.busy_hint()),
        (None, errno.EBUSY, Code.DEVICE_BUSY, "is in use by another program", hints.busy_hint()),
        (-12, errno.ENOSYS, Code.NO_DRIVER, "has a driver that libusb cannot use", hints.driver_hint()),
        (-12, None, Code.NO_DRIVER, "has a driver that libusb cannot use", hints.driver_hint()),
        (None, errno.ENOSYS, Code.NO_DRIVER, "has a driver that libusb cannot use", hints.driver_hint()),
    ],
)
def test_a_refused_open_says_why_and_what_to_do(
    libusb_code: int | None, number: int | None, code: Code, message: str, hint: str
) -> None:
    denied = as_access_denied(usb.core.USBError("what libusb said", libusb_code, number), "1-2")
    assert isinstance(denied, AccessDenied)
    assert isinstance(denied, PermissionError)
    assert (denied.code, str(denied), denied.hint) == (code, f"the board at 1-2 {message}", hint)
    assert denied.consequence == "nothing was sent to it"
    assert denied.exit_status == 5


def test_each_system_gets_its_own_advice() -> None:
    assert hints.permission_hint("linux") == udev.permission_hint(udev.rule_for_boards(), udev.shipped_rule())
    assert "Zadig" in hints.permission_hint("win32")
    assert "Zadig" in hints.driver_hint("win32")
    assert "replug" in hints.permission_hint("darwin")
