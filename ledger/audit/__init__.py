"""The whole ledger computed again; the first row that does not hold is named."""
