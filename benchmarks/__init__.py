"""Measurements of what the documentation claims: one program a claim, see docs/benchmarks.md."""
