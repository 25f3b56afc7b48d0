"""The steps of the recipe language by their keywords."""

from __future__ import annotations

from collections.abc import Mapping

from dfurun.steps.check_option_bytes import CheckOptionBytes
from dfurun.steps.connect import Connect
from dfurun.steps.erase import Erase
from dfurun.steps.leave_dfu import LeaveDfu
from dfurun.steps.mass_erase import MassErase
from dfurun.steps.read import Read
from dfurun.steps.set_option_bytes import SetOptionBytes
from dfurun.steps.step import Step
from dfurun.steps.unprotect import Unprotect
from dfurun.steps.verify import Verify
from dfurun.steps.wait_for_power_cycle import WaitForPowerCycle
from dfurun.steps.write import Write

STEPS: Mapping[str, type[Step]] = {
    step.keyword: step
    for step in (
        Connect,
        Unprotect,
        MassErase,
        Erase,
        Write,
        Verify,
        Read,
        SetOptionBytes,
        CheckOptionBytes,
        WaitForPowerCycle,
        LeaveDfu,
    )
}
