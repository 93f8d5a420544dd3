"""The specification held against the code."""
