"""What the doctor concludes from what was gathered, on every system."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dfurun.chips import chip_names, load_chip
from dfurun.chips.errata import known_errata
from dfurun.errors import AccessDenied, Code, DfurunError, ExitStatus, LinkUnreliable
from dfurun.usb import hints
from dfurun.usb.doctor import Board, Check, Facts, Verdict, exit_status, judge
from dfurun.usb.host import Host, Plug, Software
from dfurun.usb.libusb import Libusb
from dfurun.usb.port import PortPath

LIBUSB = Libusb(None, "the system's", "libusb-1.0.so.0", "1.0.27")
LINUX = Host("linux", "Linux-6.1", Software("3.11.7", "1.3.1", LIBUSB), rule="/etc/udev/rules.d/60-dfurun.rules")
MACOS = replace(LINUX, platform="darwin", system="macOS-15", usbfs=False, rule="")
WINDOWS = replace(LINUX, platform="win32", system="Windows-11", usbfs=False, rule="")
CHIP = load_chip("stm32f072xb")
BOARD = Board(PortPath(1, (4,)), 0x0483, 0xDF11, "STM32  BOOTLOADER", Plug(), (CHIP,))


def facts(host: Host = LINUX, *boards: Board, **more: object) -> Facts:
    base = Facts(host, boards, (), simulated=False, state_folder=Path("state"))
    return replace(base, **more)


def denied(code: Code, hint: str = "what to do") -> AccessDenied:
    return AccessDenied(code, "the board at 1-4 may not be opened", consequence="nothing was sent", hint=hint)


def named(checks: list[Check], name: str, verdict: Verdict | None = None) -> Check:
    return next(check for check in checks if check.name == name and verdict in (None, check.verdict))


@pytest.mark.parametrize("host", [LINUX, MACOS, WINDOWS], ids=["linux", "macos", "windows"])
def test_a_board_that_can_be_opened_is_well_on_every_system(host: Host) -> None:
    checks = judge(facts(host, BOARD))
    assert [check for check in checks if check.verdict is Verdict.PROBLEM] == []
    assert exit_status(checks) is ExitStatus.DONE
    assert named(checks, "board 1-4", Verdict.OK).message.endswith("STM32F072xB by its memory layout; it can be opened")


def test_an_empty_bus_is_no_problem() -> None:
    checks = judge(facts())
    bus = named(checks, "bus")
    assert (bus.verdict, bus.hint) == (Verdict.NOTE, hints.ENTER_DFU)
    assert exit_status(checks) is ExitStatus.DONE


def test_no_libusb_is_a_problem_but_for_a_simulated_board() -> None:
    host = replace(LINUX, software=Software("3.11.7", "1.3.1", None))
    checks = judge(facts(host))
    assert named(checks, "libusb").code is Code.NO_LIBUSB
    assert "Debian: libusb-1.0-0" in named(checks, "libusb").hint
    assert "not looked at" in named(checks, "bus").message
    assert exit_status(checks) is ExitStatus.NO_ACCESS
    checks = judge(facts(host, BOARD, simulated=True))
    assert named(checks, "libusb").verdict is Verdict.NOTE
    assert exit_status(checks) is ExitStatus.DONE


def test_linux_without_a_rule_gets_the_command_that_installs_it() -> None:
    host = replace(LINUX, rule="", shipped_rule="/home/a b/60-dfurun.rules")
    checks = judge(facts(host, replace(BOARD, problem=denied(Code.NO_PERMISSION))))
    for check in (named(checks, "udev rule"), named(checks, "board 1-4")):
        assert check.command == (
            "sudo install -m 644 '/home/a b/60-dfurun.rules' /etc/udev/rules.d/60-dfurun.rules "
            "&& sudo udevadm control --reload && sudo udevadm trigger"
        )
        assert "replug the board" in check.hint
    assert named(checks, "udev rule").verdict is Verdict.NOTE, "it may work all the same"
    assert named(checks, "board 1-4").code is Code.NO_PERMISSION
    assert exit_status(checks) is ExitStatus.NO_ACCESS
    assert "root needs none" in named(judge(facts(replace(host, is_root=True))), "udev rule").message


def test_a_rule_that_does_not_help_is_not_asked_for_again() -> None:
    plug = Plug(node="/dev/bus/usb/001/007", may_open=False)
    checks = judge(facts(LINUX, replace(BOARD, plug=plug, problem=denied(Code.NO_PERMISSION))))
    board = named(checks, "board 1-4")
    assert board.command == ""
    assert "/etc/udev/rules.d/60-dfurun.rules is there: replug the board" in board.hint
    assert "/dev/bus/usb/001/007, which this user may not read and write" in board.details


def test_linux_without_usb_is_told_what_a_container_needs() -> None:
    checks = judge(facts(replace(LINUX, usbfs=False)))
    access = named(checks, "access")
    assert access.verdict is Verdict.PROBLEM
    assert "--device /dev/bus/usb" in access.hint
    assert exit_status(checks) is ExitStatus.NO_ACCESS


def test_windows_is_told_of_zadig() -> None:
    problem = denied(Code.NO_DRIVER, hints.driver_hint("win32"))
    checks = judge(facts(WINDOWS, replace(BOARD, problem=problem)))
    assert "Zadig" in named(checks, "driver").hint
    assert "replace the driver of 'STM32  BOOTLOADER' by WinUSB" in named(checks, "board 1-4").hint
    assert exit_status(checks) is ExitStatus.NO_ACCESS


def test_macos_needs_nothing() -> None:
    checks = judge(facts(MACOS))
    assert "needs no driver and no permission" in named(checks, "access").message
    assert {check.name for check in checks}.isdisjoint({"udev rule", "driver"})


def test_a_kernel_driver_on_the_interface_is_told_and_no_problem() -> None:
    checks = judge(facts(LINUX, replace(BOARD, plug=Plug(driver="usbhid"))))
    assert "the kernel's driver usbhid has its DFU interface" in [check.message for check in checks]
    checks = judge(facts(LINUX, replace(BOARD, plug=Plug(driver="usbfs"))))
    assert not any("kernel's driver" in check.message for check in checks)


@pytest.mark.parametrize(
    ("ports", "where", "advice"),
    [
        ((4,), "at a port of the computer itself, no hub between", "put a USB 2.0 hub between"),
        ((2, 3), "behind a hub (USB2.0 Hub, 480 Mbit/s)", "it is behind a hub, which is ST's own workaround"),
        ((2, 3, 1), "behind 2 hubs (USB2.0 Hub, 480 Mbit/s)", "it is behind a hub, which is ST's own workaround"),
    ],
)
def test_a_known_fault_of_the_rom_is_told_with_what_to_do_where_it_is(
    ports: tuple[int, ...], where: str, advice: str
) -> None:
    plug = Plug(
        speed="12", hub="USB2.0 Hub, 480 Mbit/s" if len(ports) > 1 else "", controller="xHCI Host Controller, xhci_hcd"
    )
    board = replace(BOARD, port=PortPath(1, ports), plug=plug)
    checks = judge(facts(LINUX, board))
    name = f"board {board.port}"
    assert named(checks, name).details[:3] == (
        where,
        "host controller: xHCI Host Controller, xhci_hcd",
        "12 Mbit/s",
    )
    fault = named(checks, name, Verdict.NOTE)
    assert "misses packets" in fault.message
    assert fault.hint.find(advice) >= 0
    assert "AN2606" in fault.details[0]


def test_a_chip_without_a_known_fault_has_no_such_note() -> None:
    sound = replace(CHIP, rom=replace(CHIP.rom, errata=()))
    checks = judge(facts(LINUX, replace(BOARD, chips=(sound,))))
    assert not any("misses packets" in check.message for check in checks)


def test_every_erratum_of_a_chip_has_its_text() -> None:
    assert {erratum for name in chip_names() for erratum in load_chip(name).rom.errata} <= set(known_errata())


def test_what_fits_no_chip_and_what_is_no_stm32_is_told() -> None:
    checks = judge(facts(LINUX, replace(BOARD, chips=()), strangers=("1-9  28e9:0189",)))
    assert "a chip that is not in the data" in named(checks, "board 1-4").message
    assert "1-9  28e9:0189 is in DFU mode" in named(checks, "bus").message
    assert exit_status(checks) is ExitStatus.DONE


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({"state_problem": "this user may not write to /"}, ExitStatus.FAILED, Code.FILE_UNWRITABLE),
        ({"bus_problem": LinkUnreliable(Code.LINK_UNRELIABLE, "no list")}, ExitStatus.LINK, Code.LINK_UNRELIABLE),
    ],
)
def test_other_problems_have_the_exit_status_of_their_code(
    more: dict[str, object], status: ExitStatus, code: Code
) -> None:
    checks = judge(facts(LINUX, **more))
    assert [check.code for check in checks if check.verdict is Verdict.PROBLEM] == [code]
    assert exit_status(checks) is status
    both = judge(facts(replace(LINUX, usbfs=False), **more))
    assert exit_status(both) is ExitStatus.NO_ACCESS, "access comes first: without it nothing else matters"


def test_every_problem_says_what_to_do() -> None:
    problem: DfurunError = denied(Code.DEVICE_BUSY, hints.busy_hint())
    host = replace(LINUX, usbfs=False, rule="", software=Software("3.11.7", "1.3.1", None))
    checks = judge(facts(host, replace(BOARD, problem=problem), state_problem="full"))
    problems = [check for check in checks if check.verdict is Verdict.PROBLEM]
    assert len(problems) == 4
    assert all(check.hint and check.code for check in problems)
