"""Steps of our own chain beside trades: keys and epochs that change, entries that peers show back to us."""
