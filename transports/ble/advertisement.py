"""The announcement in a legacy advertisement, of whose 31 bytes nothing is left:

flags 3 | our 128-bit service UUID 18 | manufacturer data 4 + 6, which are those of `transports.identifier`
"""

COMPANY_ID = 0xFFFF
"""The number that the Bluetooth SIG keeps free for tests, until one is assigned. Whoever else uses it is told apart by
our service UUID."""
