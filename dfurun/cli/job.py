"""What a run does to each of its units: recipe, consents, and who is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dfurun.cli.bench import Bench
from dfurun.cli.junit_report import Listener
from dfurun.plan.interpret import Interpretation
from dfurun.recipe.recipe import Recipe

if TYPE_CHECKING:
    from dfurun.dfuse.trace import Trace
    from dfurun.plan.reviewed import Reviewed
    from dfurun.run.interpreter import Unit
    from dfurun.run.journal_lines import Entry
    from dfurun.steps.event import Event


@dataclass(frozen=True, slots=True)
class Job:
    """The same for every unit of a run. `save_record` hears of its entries, `patience_s` is as in Context."""

    recipe: Recipe
    interpretation: Interpretation
    allow_irreversible: bool
    overwrite_files: bool
    reviewed: Reviewed | None
    save_record: Listener | None
    patience_s: float | None = None

    def unit(
        self,
        bench: Bench,
        listen: Callable[[Event], None],
        checkpoint: Callable[[], None],
        *,
        trace: Trace | None = None,
        report: Listener | None = None,
    ) -> Unit:
        """Return the run of one unit on this bench; `report` hears of its entries too, `checkpoint` stops it."""
        from dfurun.run.interpreter import Unit
        from dfurun.run.journal import UnitJournal, journals_folder
        from dfurun.steps.context import Context

        kept = [listener for listener in (self.save_record, report) if listener is not None]

        def on_entry(entries: Sequence[Entry]) -> None:
            for save in kept:
                save(entries)

        journal = UnitJournal(journals_folder(), on_entry)
        context = Context(
            chip=self.recipe.chip,
            clock=bench.clock,
            connection=bench.connection(self.recipe.chip, trace),
            operator=bench.operator,
            journal=journal,
            emit=listen,
            output_folder=Path.cwd(),
            expect=self.recipe.expect,
            allow_irreversible=self.allow_irreversible,
            overwrite_files=self.overwrite_files,
            patience_s=self.patience_s,
        )
        return Unit(
            recipe=self.recipe,
            context=context,
            journal=journal,
            listen=listen,
            interpretation=self.interpretation,
            journal_name=bench.journal_name,
            simulated=bench.simulated,
            checkpoint=checkpoint,
            reviewed=self.reviewed,
        )
