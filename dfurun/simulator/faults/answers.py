"""An answer that is wrong: a status that is not true, an upload that is not what the memory holds."""

from __future__ import annotations

from types import MappingProxyType

from dfurun.dfuse.protocol import DfuState, DfuStatus, Request
from dfurun.simulator.fault import Moment
from dfurun.simulator.faults.named import ActsOn, NamedFault, Settings, flipped, is_request, uploads_memory
from dfurun.simulator.operation import Action, Operation
from dfurun.simulator.transfer import Setup

_SERVICE_STATES = (DfuState.DNLOAD_SYNC, DfuState.DNBUSY)


class FalseErrVendor(NamedFault):
    """An upload of memory is stalled with errVENDOR though nothing is protected.

    Source (report): ST community 772965 and 844573, "Device is under Read Out Protection".
    """

    name = "false-errvendor"
    acts_on = ActsOn.TRANSFER
    transient = True

    def concerns(self, setup: Setup) -> bool:
        """Concern uploads of memory."""
        return uploads_memory(setup)

    def before(self, moment: Moment) -> bytes | None:
        """Latch the error and stall."""
        bootloader = moment.board.bootloader
        if bootloader and self.concerns(moment.setup) and self._fires():
            raise bootloader.refusal(DfuStatus.ERR_VENDOR)
        return None


class FalseErrTarget(NamedFault):
    """A Set Address to a right address ends in errTARGET.

    Source (report): "received memory address is wrong or unsupported" for 0x08000000 (ST community 772965).
    """

    name = "false-errtarget"
    acts_on = ActsOn.OPERATION
    transient = True

    def concerns(self, setup: Setup) -> bool:
        """Concern what can execute a Set Address."""
        return is_request(setup, Request.GETSTATUS)

    def executing(self, operation: Operation) -> DfuStatus | None:
        """Refuse a Set Address."""
        return DfuStatus.ERR_TARGET if operation.action is Action.SET_ADDRESS and self._fires() else None


class FalseStatus(NamedFault):
    """An operation that nothing is wrong with is not done and ends in dfuERROR with `status`.

    `for=` picks the operation; with `upload=1` uploads of memory are stalled with the status, and no operation is touched. A
    status that AN3156 does not have (errWRITE, errERASE, errPROG, errADDRESS) is what user DFU stacks and clones answer.

    Source (report): logs with the words of errTARGET and errVENDOR, and no cause for either (ST community 772965).
    """

    name = "false-status"
    acts_on = ActsOn.OPERATION
    keys = NamedFault.keys | {"status", "for", "upload"}
    needs = MappingProxyType({"status": "errUNKNOWN"})

    @classmethod
    def objection(cls, settings: Settings) -> str | None:
        """Refuse two aims at once."""
        both = settings.uploads and settings.actions is not None
        return "upload=1 touches no operation: leave for= away" if both else None

    @property
    def _status(self) -> DfuStatus:
        return self.settings.status or DfuStatus.ERR_UNKNOWN

    def before(self, moment: Moment) -> bytes | None:
        """Latch the error and stall."""
        bootloader = moment.board.bootloader
        if bootloader and self.settings.uploads and uploads_memory(moment.setup) and self._fires():
            raise bootloader.refusal(self._status)
        return None

    def executing(self, operation: Operation) -> DfuStatus | None:
        """Refuse."""
        meant = not self.settings.uploads and operation.action is not Action.REFUSE and self._means(operation.action)
        return self._status if meant and self._fires() else None


class MissedService(NamedFault):
    """A GETSTATUS is answered with the previous dfuDNBUSY, and nothing moves: the ROM's interrupt has missed it.

    With `getstate=1` a GETSTATE is missed as well, and repeats the state that was answered last (inference).

    Source (document): AN2606 rev 70 table 42, "some servicing IT are missed"; dfu-util ticket 78 shows the endless dfuDNBUSY.
    """

    name = "missed-service"
    acts_on = ActsOn.TRANSFER
    keys = NamedFault.keys | {"getstate"}
    transient = True
    defaults = Settings(count=None, probability=0.7)

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._last_state = bytes([DfuState.IDLE])

    def concerns(self, setup: Setup) -> bool:
        """Concern GETSTATUS, and GETSTATE where that is asked for."""
        is_state = self.settings.getstate and is_request(setup, Request.GETSTATE)
        return is_state or is_request(setup, Request.GETSTATUS)

    def before(self, moment: Moment) -> bytes | None:
        """Answer with what was answered before."""
        bootloader = moment.board.bootloader
        if bootloader is None or not self.concerns(moment.setup):
            return None
        registers = bootloader.registers
        if registers.state not in _SERVICE_STATES or not self._fires():
            return None
        is_status = is_request(moment.setup, Request.GETSTATUS)
        return (registers.last_busy.pack() if is_status else self._last_state)[: moment.setup.length]

    def after(self, moment: Moment, answer: bytes) -> bytes:
        """Remember the state that was told."""
        if is_request(moment.setup, Request.GETSTATE) and answer:
            self._last_state = answer
        return answer


class CorruptUpload(NamedFault):
    """One bit of an upload of memory arrives wrong.

    Source (inference): a full-speed CRC16 makes it rare on the wire, not in a buffer behind it.
    """

    name = "corrupt-upload"
    acts_on = ActsOn.TRANSFER
    transient = True

    def concerns(self, setup: Setup) -> bool:
        """Concern uploads of memory."""
        return uploads_memory(setup)

    def after(self, moment: Moment, answer: bytes) -> bytes:
        """Flip one bit."""
        if not (answer and self.concerns(moment.setup) and self._fires()):
            return answer
        return flipped(answer, self._random)


class ShortUpload(NamedFault):
    """An upload of memory arrives short: `bytes` of it, or half.

    The ROM has sent all of it and stays in dfuUPLOAD-IDLE (inference).

    Source (report): option bytes that came back short, which betaflight took for read protection (its usbdfu.js).
    """

    name = "short-upload"
    acts_on = ActsOn.TRANSFER
    keys = NamedFault.keys | {"bytes"}
    transient = True

    def concerns(self, setup: Setup) -> bool:
        """Concern uploads of memory."""
        return uploads_memory(setup)

    def after(self, moment: Moment, answer: bytes) -> bytes:
        """Leave the end out."""
        if not (answer and self.concerns(moment.setup) and self._fires()):
            return answer
        length = self.settings.length_bytes
        return answer[: len(answer) // 2 if length is None else length]


KINDS: tuple[type[NamedFault], ...] = (
    FalseErrVendor,
    FalseErrTarget,
    FalseStatus,
    MissedService,
    CorruptUpload,
    ShortUpload,
)
