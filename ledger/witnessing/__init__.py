"""What is remembered of others' chains: their newest checkpoints, and proofs of those who signed two histories."""
