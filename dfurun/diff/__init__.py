"""What a change of a recipe means: two compiled recipes compared, and where the two come from."""

from dfurun.diff.change import Change, Difference, Kind, Rank, Subject
from dfurun.diff.compare import added, compare, removed

__all__ = ["Change", "Difference", "Kind", "Rank", "Subject", "added", "compare", "removed"]
