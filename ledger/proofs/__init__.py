"""What a stranger needs: the tree of RFC 9162, checkpoints in C2SP form, and what a chain can show with them."""
