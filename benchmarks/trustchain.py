"""Pairs of half-blocks by pyipv8's TrustChain, for `benchmarks.ledger`: run by a Python that has it, without our code.

For each line on standard input, a number of pairs, it answers with a line: pairs a second of processor time. A pair is
what `TrustChainCommunity` does for one without its network: the proposal is made, signed, validated and committed, then
validated and committed by the other side, which answers with a linked half-block, and back. Two databases on disk.
"""

import os
import sys
import tempfile
import time
from typing import Any

from ipv8.attestation.trustchain.block import EMPTY_PK, TrustChainBlock, ValidationResult
from ipv8.attestation.trustchain.database import TrustChainDB
from ipv8.keyvault.crypto import default_eccrypto

GOOD = (
    ValidationResult.valid,
    ValidationResult.partial,
    ValidationResult.partial_next,
    ValidationResult.partial_previous,
)
TRANSACTION = {b"register_wh": 1_204_551, b"end_at_ms": 1_768_415_520_000, b"amount_micro": 54_000}


class Side:
    """One party, with its key and its database."""

    def __init__(self, directory: str) -> None:
        os.makedirs(os.path.join(directory, "sqlite"))
        self.key = default_eccrypto.generate_key("curve25519")
        self.public = self.key.pub().key_to_bin()
        self.database = TrustChainDB(directory, "trustchain", self.public)

    def sign(self, link: Any = None, peer: bytes = EMPTY_PK) -> Any:
        """As `TrustChainCommunity.sign_block`."""
        transaction = None if link else TRANSACTION
        block = TrustChainBlock.create(b"v2x", transaction, self.database, self.public, link=link, link_pk=peer)
        block.sign(self.key)
        self.keep(block)
        return block

    def keep(self, block: Any) -> None:
        """As `TrustChainCommunity.validate_persist_block`."""
        found = block.validate(self.database)
        if found[0] not in GOOD:
            raise RuntimeError(f"TrustChain refuses the block: {found}")
        if not self.database.contains(block):
            self.database.add_block(block)


def pairs(one: Side, other: Side, count: int) -> float:
    """So many, a second of processor time."""
    began_s = time.process_time()
    for _ in range(count):
        proposal = one.sign(peer=other.public)
        other.keep(proposal)
        one.keep(other.sign(link=proposal))
    return count / (time.process_time() - began_s)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="trustchain-") as directory:
        one, other = (Side(os.path.join(directory, name)) for name in ("one", "other"))
        for line in sys.stdin:
            print(pairs(one, other, int(line)), flush=True)
        one.database.close()
        other.database.close()


if __name__ == "__main__":
    main()
