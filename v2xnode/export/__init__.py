"""Trades as other systems read them: one room for each format, and receipts that a stranger can check."""
