"""The peripheral's role on Linux: BlueZ's daemon bluetoothd, over D-Bus (bleak has the central's role only).

`peripheral` is what the bearer uses, `diagnosis` what a person is told. BlueZ's interfaces: its doc/org.bluez.*.rst.
"""
