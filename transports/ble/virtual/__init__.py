"""Bluetooth Low Energy without a radio: for tests, and for demonstrations on a machine that has none.

`air` is a process of its own, in which each node has a controller in software; nodes speak HCI with it and run a real
host above: L2CAP, ATT, GATT. Needs the extra `v2xnode[virtual-ble]`.
"""
