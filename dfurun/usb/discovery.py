"""What is on the bus, and which of it a run means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dfurun.dfuse.protocol import DFU_INTERFACE_CLASS, DFU_INTERFACE_SUBCLASS, DFU_MODE_PROTOCOL
from dfurun.errors import Code, DeviceNotFound, LinkUnreliable
from dfurun.usb import hints
from dfurun.usb.foreign import clone_at, refusal
from dfurun.usb.port import PortPath


@dataclass(frozen=True, slots=True)
class Candidate:
    """One device in DFU mode. `address` changes at every enumeration, `port` never does."""

    port: PortPath
    address: int
    vendor_id: int
    product_id: int
    release: int
    device: Any

    def __str__(self) -> str:
        return f"{self.port}  {self.vendor_id:04x}:{self.product_id:04x}"


@dataclass(frozen=True, slots=True)
class Selector:
    """Which board is meant: by port, by serial number, or the only one there is."""

    port: PortPath | None = None
    serial: str | None = None

    def __str__(self) -> str:
        words = [f"at port {self.port}"] if self.port else []
        return " ".join(words + ([f"with serial number {self.serial}"] if self.serial else []))


class Bus:
    """The devices that one pyusb backend sees; with the simulator's backend, simulated boards.

    `enter_dfu` says what brings a board of this bus into DFU mode.
    """

    def __init__(self, backend: Any, ids: frozenset[tuple[int, int]], enter_dfu: str = hints.ENTER_DFU) -> None:
        self._backend = backend
        self._ids = ids
        self.enter_dfu = enter_dfu

    def candidates(self) -> list[Candidate]:
        """Return the devices in DFU mode whose ids the chip data knows, by port; raise LinkUnreliable where that fails."""
        return self._listed(self._fits)

    def strangers(self) -> list[Candidate]:
        """Return the devices in DFU mode whose ids no chip has, by port; raise LinkUnreliable."""
        return self._listed(self._is_strange)

    def at(self, port: PortPath) -> Candidate | None:
        """Return what is at this port now."""
        return next((candidate for candidate in self.candidates() if candidate.port == port), None)

    def select(self, selector: Selector) -> Candidate:
        """Return the one board that fits.

        Raises DeviceNotFound where none or several do, and Refused where what fits is a clone.
        """
        found = self.candidates()
        fitting = [c for c in found if selector.port in (None, c.port)]
        if selector.serial is not None:
            fitting = [c for c in fitting if serial_number(c) == selector.serial]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise _ambiguous(selector, fitting)
        self._refuse_clone(selector)
        raise _not_found(selector, found, self.enter_dfu)

    def _refuse_clone(self, selector: Selector) -> None:
        for stranger in self.strangers():
            fits = selector.port in (None, stranger.port)
            if fits and selector.serial in (None, serial_number(stranger)) and (clone := clone_at(stranger.device)):
                raise refusal(clone, stranger.port)

    def _listed(self, fits: Callable[[Any], bool]) -> list[Candidate]:
        import usb.core

        try:
            found = usb.core.find(find_all=True, backend=self._backend, custom_match=fits)
            return sorted((_candidate(device) for device in found or ()), key=lambda c: (c.port, c.address))
        except usb.core.USBError as error:  # from reading the list, which is lazy, too
            raise LinkUnreliable(
                Code.LINK_UNRELIABLE,
                f"the bus cannot be listed: {error.strerror or error}",
                consequence="nothing was sent",
                hint="replug the board, or run again",
            ) from None

    def _fits(self, device: Any) -> bool:
        return (device.idVendor, device.idProduct) in self._ids and _is_dfu_mode(device)

    def _is_strange(self, device: Any) -> bool:
        return (device.idVendor, device.idProduct) not in self._ids and _is_dfu_mode(device, unreadable=False)


def serial_number(candidate: Candidate) -> str:
    """Return the device's serial number, empty where it cannot be read."""
    from dfurun.usb.strings import read_string

    return read_string(candidate.device, candidate.device.iSerialNumber) or ""


def _candidate(device: Any) -> Candidate:
    port = PortPath(device.bus or 0, tuple(device.port_numbers or ()))
    return Candidate(port, device.address or 0, device.idVendor, device.idProduct, device.bcdDevice, device)


def _is_dfu_mode(device: Any, *, unreadable: bool = True) -> bool:
    """Say whether a device has an interface in DFU mode; `unreadable` is the answer where its descriptors cannot be read."""
    import usb.core

    wanted = (DFU_INTERFACE_CLASS, DFU_INTERFACE_SUBCLASS, DFU_MODE_PROTOCOL)
    try:
        return any((i.bInterfaceClass, i.bInterfaceSubClass, i.bInterfaceProtocol) == wanted for c in device for i in c)
    except usb.core.USBError:
        return unreadable  # opening it will say why


def _not_found(selector: Selector, found: Sequence[Candidate], enter_dfu: str) -> DeviceNotFound:
    if found:
        return DeviceNotFound(
            Code.NO_DEVICE,
            f"no board in DFU mode {selector}",
            consequence="nothing was sent",
            hint="what is there: " + "; ".join(str(candidate) for candidate in found),
        )
    return DeviceNotFound(
        Code.NO_DEVICE,
        f"no board in DFU mode {selector}".rstrip() + (" is on the bus" if selector == Selector() else ""),
        consequence="nothing was sent",
        hint=enter_dfu,
    )


def _ambiguous(selector: Selector, fitting: Sequence[Candidate]) -> DeviceNotFound:
    return DeviceNotFound(
        Code.AMBIGUOUS_DEVICE,
        f"{len(fitting)} boards in DFU mode fit {selector}".rstrip(),
        consequence="nothing was sent to any of them",
        hint=f"choose one with --port: {', '.join(str(c.port) for c in fitting)}; a run takes all of them with --all",
        evidence=[str(candidate) for candidate in fitting],
    )
