"""Attacks on whole nodes. `docs/security.md` lists each attack with its test, here or beside the code that it is on."""
