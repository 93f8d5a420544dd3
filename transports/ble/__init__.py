"""Bluetooth Low Energy as a bearer: GATT, one service, a characteristic for each way.

The central's role is bleak's, the peripheral's our own on each platform (`transports.ble.peripheral` is the seam).
"""
