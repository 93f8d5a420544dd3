"""The simulated world: one object owns batteries, converters, loads, cables, meters and the permits' dead man.

`plant.Plant` is the door; the rest is one subject a file. Pure: world milliseconds in, no clock, no I/O.
"""
