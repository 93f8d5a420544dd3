"""`python -m v2xnode` is the command `v2xnode`."""

from v2xnode.cli import main

main()
