"""Where a board is plugged in, as people write it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfurun.usb.port import PortPath


@pytest.mark.parametrize(
    ("text", "bus", "ports"),
    [
        ("1-2", 1, (2,)),
        ("1-2.3", 1, (2, 3)),
        ("3-1.4.2.7", 3, (1, 4, 2, 7)),
        ("255-127", 255, (127,)),
        ("2-0", 2, (0,)),
    ],
)
def test_a_port_is_a_bus_and_a_chain_of_hub_ports(text: str, bus: int, ports: tuple[int, ...]) -> None:
    assert PortPath.parse(text) == PortPath(bus, ports)
    assert str(PortPath(bus, ports)) == text


@pytest.mark.parametrize(
    "text", ["", "1", "1-", "-2", "1.2", "1-2.", "1-2..3", "1-2-3", "a-b", "1-2 ", "1-2\n", "1-１"]
)
def test_what_is_no_port_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a port such as 1-2 or 1-2\.3"):
        PortPath.parse(text)


def test_a_root_hub_without_ports_is_port_0() -> None:
    assert str(PortPath(4, ())) == "4-0"


_paths = st.builds(PortPath, st.integers(0, 999), st.lists(st.integers(0, 999), min_size=1, max_size=6).map(tuple))


@given(_paths)
def test_a_port_that_is_printed_is_read_back(path: PortPath) -> None:
    assert PortPath.parse(str(path)) == path


def test_ports_are_sorted_as_numbers() -> None:
    paths = [PortPath.parse(text) for text in ("1-10", "2-1", "1-2.1", "1-2", "1-9")]
    assert [str(path) for path in sorted(paths)] == ["1-2", "1-2.1", "1-9", "1-10", "2-1"]
