"""Whole nodes in one process and one thread, on a clock that jumps: one seed decides everything that happens."""
