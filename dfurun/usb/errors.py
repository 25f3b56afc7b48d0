"""pyusb's errors, translated once, at the edge."""

from __future__ import annotations

import errno
from typing import Any

from dfurun.dfuse.link import Denied, Garbled, LinkError, Stalled, TimedOut, Vanished
from dfurun.errors import AccessDenied, Code
from dfurun.usb import hints

# libusb's error codes (libusb.h, enum libusb_error) and the errno values of the other backends.
_BY_LIBUSB_CODE: dict[int, type[LinkError]] = {
    -1: Garbled,  # LIBUSB_ERROR_IO
    -3: Denied,  # LIBUSB_ERROR_ACCESS
    -4: Vanished,  # LIBUSB_ERROR_NO_DEVICE
    -5: Vanished,  # LIBUSB_ERROR_NOT_FOUND: the interface is gone with the device
    -6: Denied,  # LIBUSB_ERROR_BUSY
    -7: TimedOut,  # LIBUSB_ERROR_TIMEOUT
    -8: Garbled,  # LIBUSB_ERROR_OVERFLOW
    -9: Stalled,  # LIBUSB_ERROR_PIPE
    -12: Denied,  # LIBUSB_ERROR_NOT_SUPPORTED
}
_BY_ERRNO: dict[int, type[LinkError]] = {
    errno.EPIPE: Stalled,
    errno.ETIMEDOUT: TimedOut,
    errno.ENODEV: Vanished,
    errno.ENOENT: Vanished,
    errno.ENXIO: Vanished,
    errno.EACCES: Denied,
    errno.EPERM: Denied,
    errno.EBUSY: Denied,
    errno.ENOSYS: Denied,
}
_BUSY = (-6, errno.EBUSY)
_NO_DRIVER = (-12, errno.ENOSYS)


def as_link_error(error: Any) -> LinkError:
    """Return the link error for a `usb.core.USBError`; what is not known is Garbled, which is retried."""
    kind = _BY_LIBUSB_CODE.get(error.backend_error_code or 0) or _BY_ERRNO.get(error.errno or 0) or Garbled
    return kind(str(error.strerror or error))


def as_access_denied(error: Any, where: str) -> AccessDenied:
    """Return what a refused open means for a person: permission, driver, or another program."""
    found = (error.backend_error_code, error.errno)
    if found[0] in _BUSY or (found[0] is None and found[1] in _BUSY):
        code, message, hint = Code.DEVICE_BUSY, "is in use by another program", hints.busy_hint()
    elif found[0] in _NO_DRIVER or (found[0] is None and found[1] in _NO_DRIVER):
        code, message, hint = Code.NO_DRIVER, "has a driver that libusb cannot use", hints.driver_hint()
    else:
        code, message, hint = Code.NO_PERMISSION, "may not be opened by this user", hints.permission_hint()
    return AccessDenied(code, f"the board at {where} {message}", consequence="nothing was sent to it", hint=hint)
