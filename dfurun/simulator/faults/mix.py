"""All that can go wrong with single transfers and answers, at random and the same on every run."""

from __future__ import annotations

from dataclasses import replace

from dfurun.dfuse.protocol import DfuStatus
from dfurun.simulator.fault import Moment
from dfurun.simulator.faults import answers, transfers
from dfurun.simulator.faults.named import ActsOn, NamedFault, Settings
from dfurun.simulator.operation import Operation

_EVERY_TIME = replace(Settings(), count=None)


class Mix(NamedFault):
    """Each transfer meets, with probability `p`, one of the transient faults that can concern it, picked at random.

    Those are stall, timeout, io-error, lost-reply and overflow; for an upload of memory also false-errvendor, corrupt-upload
    and short-upload; for a GETSTATUS also missed-service and false-errtarget.

    Source (inference): the sources of each; that they come together is what an unreliable link is.
    """

    name = "mix"
    acts_on = ActsOn.TRANSFER
    defaults = Settings(count=None, probability=0.02)

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        kinds = [kind for kind in (*transfers.KINDS, *answers.KINDS) if kind.transient]
        self._faults = [kind(replace(_EVERY_TIME, seed=settings.seed)) for kind in kinds]
        self._met: NamedFault | None = None

    def before(self, moment: Moment) -> bytes | None:
        """Pick the fault that this transfer meets, if it meets one."""
        concerned = [fault for fault in self._faults if fault.concerns(moment.setup)]
        self._met = self._random.choice(concerned) if self._fires() else None
        return self._met.before(moment) if self._met else None

    def after(self, moment: Moment, answer: bytes) -> bytes:
        """Let it act on the answer."""
        return self._met.after(moment, answer) if self._met else answer

    def executing(self, operation: Operation) -> DfuStatus | None:
        """Let it act on what the transfer executes."""
        return self._met.executing(operation) if self._met else None

    def ended(self, moment: Moment) -> None:
        """Forget it."""
        self._met = None


KINDS: tuple[type[NamedFault], ...] = (Mix,)
