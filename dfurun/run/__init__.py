"""The interpreter of compiled steps on a real board, its journal and the unit's record."""
