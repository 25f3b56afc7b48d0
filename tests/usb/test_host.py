"""What a computer tells of itself: where a board is plugged in by sysfs, its udev rules, its libusb."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import pytest

from dfurun.usb import libusb
from dfurun.usb.host import Plug, look_at_host, plug_of, software
from dfurun.usb.port import PortPath

linux = pytest.mark.skipif(os.name == "nt", reason="sysfs is made of symbolic links")


def sysfs(root: Path) -> tuple[Path, Path]:
    """Lay out what Linux tells of a board behind a hub at 1-2.3, and directly at 1-4."""
    devices, usbfs = root / "devices", root / "bus"
    controller = root / "pci" / "0000:00:14.0"
    facts = {
        controller / "usb1" / "product": "xHCI Host Controller",
        devices / "1-2" / "product": "USB2.0 Hub",
        devices / "1-2" / "speed": "480",
        devices / "1-2.3" / "speed": "12",
        devices / "1-4" / "speed": "12",
        usbfs / "001" / "007": "",
    }
    for path, text in facts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    for path, target in {
        devices / "usb1": controller / "usb1",
        controller / "driver": root / "drivers" / "xhci_hcd",
        devices / "1-4:1.0" / "driver": root / "drivers" / "usbfs",
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)
    return devices, usbfs


@linux
def test_a_board_behind_a_hub(tmp_path: Path) -> None:
    devices, usbfs = sysfs(tmp_path)
    assert plug_of(PortPath(1, (2, 3)), 7, devices, usbfs) == Plug(
        speed="12",
        hub="USB2.0 Hub, 480 Mbit/s",
        controller="xHCI Host Controller, xhci_hcd",
        driver="",
        node=str(usbfs / "001" / "007"),
        may_open=True,
    )


@linux
def test_a_board_at_the_computer_itself_that_another_program_has(tmp_path: Path) -> None:
    plug = plug_of(PortPath(1, (4,)), 9, *sysfs(tmp_path))
    assert (plug.hub, plug.driver) == ("", "usbfs")
    assert plug.may_open is False, "its node is not there"


def test_a_system_without_sysfs_tells_nothing(tmp_path: Path) -> None:
    assert plug_of(PortPath(1, (2, 3)), 7, tmp_path / "sys", tmp_path / "dev") == Plug()


def test_this_computer_is_looked_at_without_an_error() -> None:
    host = look_at_host()
    assert host.platform == sys.platform
    assert Path(host.shipped_rule).read_text(encoding="utf-8").count("df11") == 1


def test_the_libusb_that_is_used_says_where_it_comes_from_and_its_version() -> None:
    found = libusb.find_libusb()
    if found is None:
        pytest.skip("no libusb on this computer")
    assert found.version.startswith("1.0.")
    assert found.origin in ("from the libusb-package wheel", "the system's")
    assert str(found) in str(software())


def test_the_systems_libusb_is_the_second_choice() -> None:
    system = SimpleNamespace(lib=SimpleNamespace(_name="libusb-1.0.so.0"))
    with patch.multiple(libusb, _packaged=lambda: None, _system=lambda: system):
        found = libusb.find_libusb()
    assert found == libusb.Libusb(system, "the system's", "libusb-1.0.so.0", "")
    assert str(found) == "libusb of an unknown version, the system's"
    with patch.multiple(libusb, _packaged=lambda: None, _system=lambda: None):
        assert libusb.find_libusb() is None
        assert "no libusb that works" in str(software())


def test_a_libusb_that_answers_no_version_has_none() -> None:
    def ask() -> ctypes.POINTER(libusb._Version):  # type: ignore[valid-type]
        return ctypes.POINTER(libusb._Version)()

    assert libusb._version(SimpleNamespace(libusb_get_version=ask)) == ""
