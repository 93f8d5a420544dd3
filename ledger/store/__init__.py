"""The database of one ledger: its tables and their versions, what is asked of them, and the one writer."""
