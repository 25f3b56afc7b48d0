"""Finding a libusb: the one that the libusb-package wheel brings, else the system's."""

from __future__ import annotations

from typing import Any

from dfurun.errors import AccessDenied, Code


def find_backend() -> Any:
    """Return a pyusb backend; raise AccessDenied (`no-libusb`) where this computer offers none that starts."""
    backend = _packaged() or _system()
    if backend is None:
        raise AccessDenied(
            Code.NO_LIBUSB,
            "no libusb that works: neither the libusb-package wheel's nor the system's starts",
            consequence="no board was looked for",
            hint="install it (Debian: libusb-1.0-0, macOS: brew install libusb); a container needs /dev/bus/usb passed in; "
            "--sim needs none",
        )
    return backend


def _packaged() -> Any:
    try:
        import libusb_package
    except ImportError:
        return None
    return libusb_package.get_libusb1_backend()


def _system() -> Any:
    import usb.backend.libusb1

    return usb.backend.libusb1.get_backend()
