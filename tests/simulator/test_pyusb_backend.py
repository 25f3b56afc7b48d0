"""The pyusb backend: everything from `usb.core.find` to `ctrl_transfer` runs unchanged, and fails as libusb1's does."""

from __future__ import annotations

import errno
from typing import Any

import pytest
import usb.core
import usb.util
from simulated_bench import APPLICATION, BACK_S, BLOCK, CHIP, FLASH, options

from dfurun.clock import VirtualClock
from dfurun.dfuse.protocol import REQUEST_TYPE_IN, REQUEST_TYPE_OUT, FunctionalDescriptor, Request, set_address_payload
from dfurun.simulator import SimulatedBackend, SimulatedBoard, parse_fault


class Desk:
    """A backend with one board, and pyusb's devices on it."""

    def __init__(self, *faults: str, **settings: Any) -> None:
        self.clock = VirtualClock()
        self.board = SimulatedBoard(CHIP, self.clock, faults=[parse_fault(text) for text in faults], **settings)
        self.backend = SimulatedBackend([self.board])

    def find(self) -> Any:
        device = usb.core.find(idVendor=0x0483, idProduct=0xDF11, backend=self.backend)
        assert device is not None
        return device

    def found(self) -> list[Any]:
        return list(usb.core.find(find_all=True, backend=self.backend))


@pytest.fixture
def desk() -> Desk:
    return Desk()


def get_state(device: Any, timeout_ms: int = 1000) -> Any:
    return device.ctrl_transfer(REQUEST_TYPE_IN, Request.GETSTATE, 0, 0, 1, timeout=timeout_ms)


def code_of(raised: Any) -> tuple[int, int]:
    return raised.value.backend_error_code, raised.value.errno


def test_the_board_is_found_by_its_ids_with_its_place_on_the_bus(desk: Desk) -> None:
    device = desk.find()
    assert (device.bus, device.port_numbers, device.port_number, device.speed) == (1, (1,), 1, 2)
    assert (device.bcdDevice, device.bMaxPacketSize0) == (0x2200, 64)
    assert device.parent is None


def test_strings_come_through_pyusbs_own_functions(desk: Desk) -> None:
    device = desk.find()
    assert device.serial_number == "FFFFFFFEFFFF"
    assert device.product == "STM32  BOOTLOADER"
    assert device.manufacturer == "STMicroelectronics"
    assert [usb.util.get_string(device, alternate.iInterface) for alternate in device[0]] == list(CHIP.usb.alternates)
    assert "Internal Flash" in str(device)


def test_the_functional_descriptor_is_an_extra_of_the_last_alternate_alone(desk: Desk) -> None:
    """As libusb parses it."""
    alternates = list(desk.find()[0])
    assert [len(alternate.extra_descriptors) for alternate in alternates] == [0, 9]
    functional = FunctionalDescriptor.find(bytes(alternates[1].extra_descriptors))
    assert functional == FunctionalDescriptor(0x0B, 255, 2048, 0x011A)


def test_control_transfers_write_and_read_flash(desk: Desk) -> None:
    device = desk.find()
    device.set_interface_altsetting(0, 0)
    for block, data, wait_s in ((0, set_address_payload(FLASH), 0.0), (2, APPLICATION[:BLOCK], 0.07)):
        assert device.ctrl_transfer(REQUEST_TYPE_OUT, Request.DNLOAD, block, 0, data) == len(data)
        assert device.ctrl_transfer(REQUEST_TYPE_IN, Request.GETSTATUS, 0, 0, 6)[4] == 4
        desk.clock.sleep(wait_s)
        assert device.ctrl_transfer(REQUEST_TYPE_IN, Request.GETSTATUS, 0, 0, 6)[4] == 5
    device.ctrl_transfer(REQUEST_TYPE_OUT, Request.ABORT, 0, 0, None)
    assert device.ctrl_transfer(REQUEST_TYPE_IN, Request.UPLOAD, 2, 0, 64).tobytes() == APPLICATION[:64]
    assert desk.board.flash.contents.startswith(APPLICATION[:BLOCK])


def test_a_short_answer_is_short(desk: Desk) -> None:
    answer = desk.find().ctrl_transfer(REQUEST_TYPE_IN, Request.UPLOAD, 0, 0, 64)
    assert answer.tobytes() == bytes([0x00, 0x21, 0x41, 0x92])


def test_the_alternate_setting_is_selected_on_the_device(desk: Desk) -> None:
    desk.find().set_interface_altsetting(0, 1)
    assert desk.board.device is not None
    assert desk.board.device.alternate == 1
    assert desk.board.transfers["SET_INTERFACE"] == 1


def test_configurations_are_read_without_a_transfer_and_set_with_one(desk: Desk) -> None:
    device = desk.find()
    assert device.get_active_configuration().bConfigurationValue == 1
    assert not desk.board.transfers
    device.set_configuration(1)
    assert desk.board.transfers["SET_CONFIGURATION"] == 1


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("stall", (-9, errno.EPIPE)),
        ("io-error", (-1, errno.EIO)),
        ("overflow", (-8, errno.EOVERFLOW)),
        ("timeout", (-7, errno.ETIMEDOUT)),
        ("lost-reply", (-7, errno.ETIMEDOUT)),
        ("vanish", (-4, errno.ENODEV)),
    ],
)
def test_failures_have_libusbs_codes_and_errno(fault: str, code: tuple[int, int]) -> None:
    device = Desk(fault).find()
    with pytest.raises(usb.core.USBError) as raised:
        get_state(device)
    assert code_of(raised) == code
    assert isinstance(raised.value, usb.core.USBTimeoutError) is (code[0] == -7)


def test_a_timeout_lasts_as_long_as_the_caller_was_ready_to_wait() -> None:
    desk = Desk("timeout")
    device = desk.find()
    with pytest.raises(usb.core.USBTimeoutError):
        get_state(device, timeout_ms=2500)
    assert desk.clock.now() == pytest.approx(2.5, abs=1e-3)
    assert get_state(device)[0] == 2


def test_a_refused_request_is_a_pipe_error(desk: Desk) -> None:
    with pytest.raises(usb.core.USBError) as raised:
        desk.find().ctrl_transfer(REQUEST_TYPE_OUT, Request.DNLOAD, 1, 0, b"1234")
    assert code_of(raised) == (-9, errno.EPIPE)


def test_more_than_linux_allows_is_an_invalid_parameter(desk: Desk) -> None:
    with pytest.raises(usb.core.USBError) as raised:
        desk.find().ctrl_transfer(REQUEST_TYPE_IN, Request.UPLOAD, 2, 0, 4097)
    assert code_of(raised) == (-2, errno.EINVAL)


def test_no_permission_fails_to_open_and_the_descriptors_can_still_be_seen() -> None:
    device = Desk("no-permission").find()
    assert device.idProduct == 0xDF11
    with pytest.raises(usb.core.USBError) as raised:
        get_state(device)
    assert code_of(raised) == (-3, errno.EACCES)


def test_no_driver_is_not_implemented_as_pyusb_has_it() -> None:
    """pyusb's `_check` turns LIBUSB_ERROR_NOT_SUPPORTED into NotImplementedError."""
    with pytest.raises(NotImplementedError, match="not supported"):
        get_state(Desk("no-driver").find())


def test_a_busy_interface_can_be_claimed_when_the_other_program_is_done() -> None:
    device = Desk("busy:count=2").find()
    for _ in range(2):
        with pytest.raises(usb.core.USBError) as raised:
            get_state(device)
        assert code_of(raised) == (-6, errno.EBUSY)
    assert get_state(device)[0] == 2


def test_two_handles_do_not_claim_one_interface(desk: Desk) -> None:
    first, second = desk.find(), desk.find()
    get_state(first)
    with pytest.raises(usb.core.USBError) as raised:
        get_state(second)
    assert code_of(raised) == (-6, errno.EBUSY)
    usb.util.dispose_resources(first)
    assert get_state(second)[0] == 2


def test_only_boards_that_are_on_the_bus_now_are_listed(desk: Desk) -> None:
    assert len(desk.found()) == 1
    desk.board.power_cycle()
    assert desk.found() == []
    desk.clock.sleep(BACK_S)
    assert len(desk.found()) == 1


def test_a_handle_from_before_a_reset_is_dead_and_the_device_is_found_again_at_its_port(desk: Desk) -> None:
    before = desk.find()
    get_state(before)
    desk.board.power_cycle()
    for _ in range(2):
        with pytest.raises(usb.core.USBError) as raised:
            get_state(before)
        assert code_of(raised) == (-4, errno.ENODEV)
        desk.clock.sleep(BACK_S)
    after = desk.find()
    assert get_state(after)[0] == 2
    assert after.port_numbers == before.port_numbers
    assert after.address != before.address
    usb.util.dispose_resources(before)


def test_a_port_reset_keeps_the_address_and_starts_the_state_machine_over(desk: Desk) -> None:
    device = desk.find()
    device.ctrl_transfer(REQUEST_TYPE_OUT, Request.DNLOAD, 0, 0, set_address_payload(FLASH))
    device.reset()
    assert get_state(device)[0] == 2
    assert desk.find().address == device.address


def test_a_port_reset_of_a_board_that_is_gone_is_no_device(desk: Desk) -> None:
    device = desk.find()
    get_state(device)
    desk.board.power_off()
    with pytest.raises(usb.core.USBError) as raised:
        device.reset()
    assert code_of(raised) == (-4, errno.ENODEV)


def test_no_kernel_driver_has_the_interface(desk: Desk) -> None:
    device = desk.find()
    assert device.is_kernel_driver_active(0) is False
    with pytest.raises(usb.core.USBError) as raised:
        device.detach_kernel_driver(0)
    assert code_of(raised) == (-5, errno.ENOENT)


def test_several_boards_on_one_bus_have_their_own_addresses_and_ports() -> None:
    clock = VirtualClock()
    boards = [SimulatedBoard(CHIP, clock, port=(1, n)) for n in (1, 2, 3)]
    backend = SimulatedBackend(boards)
    devices = list(usb.core.find(find_all=True, backend=backend))
    assert len({(device.bus, device.address) for device in devices}) == 3
    assert [device.port_numbers for device in devices] == [(1, 1), (1, 2), (1, 3)]
    boards[1].power_cycle()
    clock.sleep(BACK_S)
    addresses = [device.address for device in usb.core.find(find_all=True, backend=backend)]
    assert len(set(addresses)) == 3


def test_an_option_write_takes_the_device_off_the_bus_and_brings_it_back(desk: Desk) -> None:
    device = desk.find()
    for block, data in ((0, set_address_payload(CHIP.option_bytes.address)), (2, options(b4=0x12))):
        device.ctrl_transfer(REQUEST_TYPE_OUT, Request.DNLOAD, block, 0, data)
        device.ctrl_transfer(REQUEST_TYPE_IN, Request.GETSTATUS, 0, 0, 6)
        if block == 0:
            device.ctrl_transfer(REQUEST_TYPE_IN, Request.GETSTATUS, 0, 0, 6)
    desk.clock.sleep(CHIP.timing.option_bytes.typical_s)
    with pytest.raises(usb.core.USBError) as raised:
        get_state(device)
    assert code_of(raised) == (-4, errno.ENODEV)
    desk.clock.sleep(BACK_S)
    assert desk.board.option_bytes.stored == options(b4=0x12)
    assert get_state(desk.find())[0] == 2


def test_a_user_dfu_is_listed_with_its_own_release_and_sectors() -> None:
    device = Desk(user_dfu=True).find()
    assert (device.bcdDevice, device.product) == (0x0200, "DFU in FS Mode")
    assert device.serial_number != "FFFFFFFEFFFF"
    assert usb.util.get_string(device, 4) == "@Internal Flash  /0x08000000/06*002Ka,58*002Kg"
    assert FunctionalDescriptor.find(bytes(device[0][(0, 0)].extra_descriptors)).transfer_size_bytes == 1024
