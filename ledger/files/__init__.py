"""What a ledger gives to others: receipts, revocations, and all of it as text."""
