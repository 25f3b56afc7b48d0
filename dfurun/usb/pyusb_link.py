"""A DfuSe link over pyusb: one claimed interface of one open device."""

from __future__ import annotations

from array import array
from typing import Any

import usb.core
import usb.util

from dfurun.clock import Clock
from dfurun.dfuse.link import AlternateSetting, Denied, DeviceDescription, Garbled, LinkError
from dfurun.dfuse.protocol import (
    DFU_INTERFACE_CLASS,
    DFU_INTERFACE_SUBCLASS,
    REQUEST_TYPE_IN,
    REQUEST_TYPE_OUT,
    FunctionalDescriptor,
    Request,
)
from dfurun.errors import AccessDenied, Code
from dfurun.usb.discovery import Candidate
from dfurun.usb.errors import as_access_denied, as_link_error
from dfurun.usb.strings import read_string

OPEN_ATTEMPTS = 6
OPEN_PAUSE_S = 0.5  # a device that has just come back may still be in the hands of the system (udev, other DFU tools)


class PyusbLink:
    """Implements `dfurun.dfuse.link.Link`."""

    def __init__(self, candidate: Candidate, clock: Clock) -> None:
        """Open and claim; raise AccessDenied where the system refuses, LinkError where the device does not answer."""
        self._device = candidate.device
        self._interface_number, self._alternate = 0, 0
        self._settings: dict[int, Any] = {}  # pyusb's own; by a number alone it reads all descriptors anew to find one
        self._claim(candidate, clock)
        try:
            self._description = self._describe(candidate)
        except LinkError:
            self.close()
            raise

    @property
    def description(self) -> DeviceDescription:
        """The device's descriptors, as read when it was opened."""
        return self._description

    def control_out(self, request: Request, value: int, data: bytes, timeout_s: float) -> None:
        """Send `data` with the request; raise LinkError."""
        sent = self._transfer(REQUEST_TYPE_OUT, request, value, array("B", data), timeout_s)
        if sent != len(data):
            raise Garbled(f"{request.name}: {sent} of {len(data)} bytes went out")

    def control_in(self, request: Request, value: int, length: int, timeout_s: float) -> bytes:
        """Return at most `length` bytes that the device answers; raise LinkError."""
        buffer = array("B", bytes(length))
        answered = self._transfer(REQUEST_TYPE_IN, request, value, buffer, timeout_s)
        return buffer.tobytes()[:answered]

    def select_alternate(self, number: int) -> None:
        """Select an alternate setting, unless it is selected already; raise LinkError."""
        if number == self._alternate:
            return
        try:
            self._device.set_interface_altsetting(self._settings[number], number)
        except usb.core.USBError as error:
            raise as_link_error(error) from None
        self._alternate = number

    def reset(self) -> None:
        """Reset the port and claim the interface again; raise LinkError."""
        try:
            self._device.reset()
            usb.util.claim_interface(self._device, self._interface_number)
            self._device.set_interface_altsetting(self._settings[self._alternate], self._alternate)
        except usb.core.USBError as error:
            raise as_link_error(error) from None

    def close(self) -> None:
        """Give the device back; never raises."""
        try:
            usb.util.dispose_resources(self._device)
        except usb.core.USBError:
            return  # it is gone: there is nothing to give back

    def _transfer(self, kind: int, request: Request, value: int, data: array[int], timeout_s: float) -> int:
        """Carry one transfer from or to `data`; return how many bytes it moved. An array is what pyusb takes as it is."""
        try:
            moved = self._device.ctrl_transfer(
                kind, request, value, self._interface_number, data, round(timeout_s * 1000)
            )
        except usb.core.USBError as error:
            raise as_link_error(error) from None
        return int(moved)

    def _claim(self, candidate: Candidate, clock: Clock) -> None:
        refusal: AccessDenied | None = None
        for _ in range(OPEN_ATTEMPTS):
            try:
                self._interface_number = self._open()
            except usb.core.USBError as error:
                translated = as_link_error(error)
                if not isinstance(translated, Denied):
                    raise translated from None
                refusal = as_access_denied(error, str(candidate.port))
            except NotImplementedError:
                refusal = as_access_denied(usb.core.USBError("not supported", -12), str(candidate.port))
            else:
                return
            self.close()
            if refusal.code is Code.NO_DRIVER:
                break  # no driver comes by waiting
            clock.sleep(OPEN_PAUSE_S)
        assert refusal is not None
        raise refusal

    def _open(self) -> int:
        try:
            configuration = self._device.get_active_configuration()
        except usb.core.USBError as error:
            if error.backend_error_code is not None or error.errno is not None:
                raise
            self._device.set_configuration()  # "Configuration not set": pyusb's own error, without a code
            configuration = self._device.get_active_configuration()
        number = next(
            (
                i.bInterfaceNumber
                for i in configuration
                if (i.bInterfaceClass, i.bInterfaceSubClass) == (DFU_INTERFACE_CLASS, DFU_INTERFACE_SUBCLASS)
            ),
            0,
        )
        try:
            if self._device.is_kernel_driver_active(number):
                self._device.detach_kernel_driver(number)
        except NotImplementedError:
            pass  # only Linux has kernel drivers to detach
        usb.util.claim_interface(self._device, number)
        return int(number)

    def _describe(self, candidate: Candidate) -> DeviceDescription:
        settings = sorted(
            (i for i in self._device.get_active_configuration() if i.bInterfaceNumber == self._interface_number),
            key=lambda i: i.bAlternateSetting,
        )
        self._settings = {setting.bAlternateSetting: setting for setting in settings}
        extra = b"".join(bytes(setting.extra_descriptors) for setting in settings)
        try:
            functional = FunctionalDescriptor.find(extra)
        except ValueError as error:
            raise Garbled(str(error)) from None
        return DeviceDescription(
            vendor_id=candidate.vendor_id,
            product_id=candidate.product_id,
            release=candidate.release,
            product=read_string(self._device, self._device.iProduct) or "",
            serial=read_string(self._device, self._device.iSerialNumber) or "",
            functional=functional,
            alternates=tuple(self._alternate_setting(setting) for setting in settings),
        )

    def _alternate_setting(self, setting: Any) -> AlternateSetting:
        """Return an alternate setting with its name, which is the memory layout: one that cannot be read is not empty."""
        name = read_string(self._device, setting.iInterface)
        if name is None:
            raise Garbled(f"the name of alternate setting {setting.bAlternateSetting} cannot be read")
        return AlternateSetting(setting.bAlternateSetting, name)
