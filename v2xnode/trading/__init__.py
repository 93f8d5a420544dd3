"""Drives the machines of `market` for both roles: append durably first, tell the peer then."""
