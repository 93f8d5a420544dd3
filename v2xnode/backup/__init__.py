"""One encrypted file that brings a node back: `taking` writes it, `restoring` makes a data directory of it."""
