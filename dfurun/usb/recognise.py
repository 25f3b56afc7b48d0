"""Which chip a board has, by what its bootloader tells of itself. The chip's own id is not readable over DFU."""

from __future__ import annotations

from dataclasses import dataclass

from dfurun.chips import Chip, load_chip
from dfurun.chips.index import by_name, entries
from dfurun.clock import Clock
from dfurun.dfuse.anomalies import Anomalies
from dfurun.dfuse.channel import HUB_ADVICE
from dfurun.dfuse.fitting import require_layout
from dfurun.dfuse.identity import read_identity
from dfurun.dfuse.link import DeviceDescription, Link, LinkError
from dfurun.dfuse.session import Session
from dfurun.errors import Code, DfurunError, LinkUnreliable, Refused
from dfurun.usb.discovery import Bus, Selector
from dfurun.usb.foreign import clone_told, refusal
from dfurun.usb.pyusb_link import PyusbLink

ATTEMPTS = 4
PAUSE_S = 0.1


@dataclass(frozen=True, slots=True)
class Likeness:
    """The chips that a board can have by all that it tells, at least one, and the layout by which.

    `is_told`: it is the chip that somebody has named, and the board alone would not have told so.
    """

    chips: tuple[Chip, ...]
    layout_text: str
    is_told: bool = False

    def the_one(self) -> Chip:
        """Return the chip; raise Refused where it is one of several."""
        if len(self.chips) == 1:
            return self.chips[0]
        raise _undecided(self.layout_text, ", ".join(chip.name for chip in self.chips))


def likeness(bus: Bus, selector: Selector, clock: Clock, told: Chip | None = None) -> Likeness:
    """Return the chips whose layout the selected board tells; of several, those whose bootloader id it has.

    Of those that are left it is `told`, where somebody has said so and it, or one that differs in its name only, is among them.
    Raises DeviceNotFound, AccessDenied, LinkUnreliable, and Refused for a clone and for a layout of no chip in the data.
    """
    candidate = bus.select(selector)
    description, fitting = None, list[Chip]()
    anomalies = Anomalies()
    for _ in range(ATTEMPTS):
        try:
            link = PyusbLink(candidate, clock)
        except LinkError as error:
            anomalies.note(f"open: {error.label}", str(error))
            clock.sleep(PAUSE_S)
            continue
        description = link.description
        if (clone := clone_told(description)) is not None:
            link.close()
            raise refusal(clone, candidate.port)
        fitting = chips_like(description)
        if len(fitting) > 1 and not description.is_user_dfu:
            fitting = _with_their_bootloader_id(link, fitting, clock, anomalies)
        link.close()
        break
    if description is None:
        message = f"the board at {candidate.port} is on the bus and does not answer"
        raise LinkUnreliable(
            Code.LINK_UNRELIABLE,
            message,
            consequence="nothing was changed on it",
            hint=HUB_ADVICE,
            evidence=anomalies.evidence,
        )
    if not fitting:
        raise _undecided(description.flash_layout_text, "none")
    if description.is_user_dfu:
        fitting = fitting[
            :1
        ]  # of a DFU program in user flash only the flash is asked, which is as large in all of them
    if told is not None and fitting != [told] and by_name()[told.name].names[0] in {chip.name for chip in fitting}:
        return Likeness((told,), description.flash_layout_text, is_told=True)
    return Likeness(tuple(fitting), description.flash_layout_text)


def _undecided(layout_text: str, names: str) -> Refused:
    return Refused(
        Code.EXPECTATION,
        f"which chip this is cannot be told from its memory layout {layout_text!r}: {names} fit",
        consequence="nothing was sent but the question",
        hint="name it with --chip",
    )


def require_named_chip(chip: Chip, description: DeviceDescription, named_by: str = "--chip") -> None:
    """Refuse a board whose own memory layout is not that of the chip that was named, before it is read by that chip."""
    own = " or ".join(f"`--chip {known.name}`" for known in chips_like(description))
    require_layout(
        chip,
        description,
        named=f"{named_by} names",
        consequence="nothing was read, and nothing was changed on the board",
        hint=f"leave {'--chip' if named_by == '--chip' else 'the name'} out, or name the chip that has this layout: {own}"
        if own
        else "the chip data knows no such layout: is this the right board?",
    )


def chips_like(description: DeviceDescription) -> list[Chip]:
    """Return the chips whose ROM tells the same memory layout; where none does, those whose flash has the same size.

    A serial number that all boards of a kind share tells that kind from others. Of chips that differ in their names only it is
    one, the first that the data lists.
    """
    told = tuple(alternate.name for alternate in description.alternates)
    fitting = [entry for entry in entries() if entry.alternates == told]
    layout = description.flash_layout
    if not fitting and layout is not None:
        wanted = (layout.segments[0].start, layout.size_bytes)
        fitting = [entry for entry in entries() if entry.flash == wanted]
    if description.serial:
        own_kind = [entry for entry in fitting if entry.serial == description.serial]
        fitting = own_kind or [entry for entry in fitting if entry.serial is None] or fitting
    return [load_chip(entry.names[0]) for entry in fitting]


def _with_their_bootloader_id(link: Link, chips: list[Chip], clock: Clock, anomalies: Anomalies) -> list[Chip]:
    """Return the chips whose bootloader id the board has where they keep it; all of them where none is found."""
    fitting = []
    for chip in chips:
        session = Session(link, chip, clock, anomalies)
        try:
            session.first_contact()
            told = read_identity(session, chip).bootloader_id
        except DfurunError:
            continue
        if told in chip.identity.bootloader_versions:
            fitting.append(chip)
    return fitting or chips
