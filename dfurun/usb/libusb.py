"""Finding a libusb: the one that the libusb-package wheel brings, else the system's."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any, ClassVar

from dfurun.errors import AccessDenied, Code

INSTALL_HINT = (
    "install it (Debian: libusb-1.0-0, macOS: brew install libusb); a container needs /dev/bus/usb passed in; "
    "--sim needs none"
)


@dataclass(frozen=True, slots=True)
class Libusb:
    """A libusb that starts: pyusb's backend over it, who brought it, its file and its version, empty where not known."""

    backend: Any
    origin: str
    path: str
    version: str

    def __str__(self) -> str:
        return f"libusb {self.version or 'of an unknown version'}, {self.origin}"


class _Version(ctypes.Structure):
    """libusb_version (libusb.h)."""

    _fields_: ClassVar = [
        ("major", ctypes.c_uint16),
        ("minor", ctypes.c_uint16),
        ("micro", ctypes.c_uint16),
        ("nano", ctypes.c_uint16),
        ("candidate", ctypes.c_char_p),
        ("describe", ctypes.c_char_p),
    ]


def find_backend() -> Any:
    """Return a pyusb backend; raise AccessDenied (`no-libusb`) where this computer offers none that starts."""
    backend = _packaged() or _system()
    if backend is None:
        raise AccessDenied(
            Code.NO_LIBUSB,
            "no libusb that works: neither the libusb-package wheel's nor the system's starts",
            consequence="no board was looked for",
            hint=INSTALL_HINT,
        )
    return backend


def own_backend() -> Any:
    """Return a pyusb backend with a libusb context of its own, as each worker has; raise as `find_backend` does.

    What pyusb finds is one for the whole process, and threads that wait in one context wait for each other's events.
    """
    shared = find_backend()
    return type(shared)(shared.lib)


def find_libusb() -> Libusb | None:
    """Return the libusb that `find_backend` uses, with where it comes from; None where none starts."""
    for find, origin in ((_packaged, "from the libusb-package wheel"), (_system, "the system's")):
        backend = find()
        if backend is not None:
            library = getattr(backend, "lib", None)
            return Libusb(backend, origin, str(getattr(library, "_name", None) or ""), _version(library))
    return None


def _version(library: Any) -> str:
    """Return `1.0.27`, empty where this libusb does not tell."""
    try:
        ask = library.libusb_get_version
        ask.restype = ctypes.POINTER(_Version)
        found = ask().contents
    except (AttributeError, ValueError):  # no such function, or it answers nothing
        return ""
    return f"{found.major}.{found.minor}.{found.micro}"


def _packaged() -> Any:
    try:
        import libusb_package
    except ImportError:
        return None
    return libusb_package.get_libusb1_backend()


def _system() -> Any:
    import usb.backend.libusb1

    return usb.backend.libusb1.get_backend()
