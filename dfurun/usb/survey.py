"""Every board on the bus, opened for what its descriptors say. Nothing is sent to its bootloader."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dfurun.chips.clones import Clone
from dfurun.clock import Clock
from dfurun.dfuse.channel import HUB_ADVICE
from dfurun.dfuse.link import DeviceDescription, LinkError
from dfurun.errors import Code, DfurunError, LinkUnreliable
from dfurun.usb.discovery import Bus, Candidate
from dfurun.usb.foreign import clone_at, clone_told
from dfurun.usb.pyusb_link import PyusbLink


@dataclass(frozen=True, slots=True)
class Surveyed:
    """One board: what it says of itself, or why it does not. `clone`: it is no STM32, and was perhaps not opened."""

    candidate: Candidate
    description: DeviceDescription | None
    problem: DfurunError | None = None
    clone: Clone | None = None


def survey(bus: Bus, clock: Clock) -> Iterator[Surveyed]:
    """Yield the boards in DFU mode, by port, then clones under their own ids; raise LinkUnreliable for a bus without a list."""
    for candidate in bus.candidates():
        try:
            link = PyusbLink(candidate, clock)
        except DfurunError as error:
            yield Surveyed(candidate, None, error)
        except LinkError as error:
            yield Surveyed(candidate, None, _does_not_answer(error))
        else:
            yield Surveyed(candidate, link.description, clone=clone_told(link.description))
            link.close()
    for stranger in bus.strangers():
        if (clone := clone_at(stranger.device)) is not None:
            yield Surveyed(stranger, None, clone=clone)


def _does_not_answer(error: LinkError) -> LinkUnreliable:
    return LinkUnreliable(
        Code.LINK_UNRELIABLE,
        f"does not answer: {error.label}",
        consequence="nothing was sent to its bootloader",
        hint=HUB_ADVICE,
    )
