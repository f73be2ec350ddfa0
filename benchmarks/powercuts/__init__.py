"""Cuts the power of a program that keeps data, a thousand times, and looks at what is left.

`recorder.c` and `trace.py` record what a program does to its disk, `disk.py` says what a power cut may leave of it,
`cuts.py` makes such disks, has them looked at, and kills the program outright too. What the program is, and what it
must have kept, a `Subject` says: `store.py` for the appliance's store, `outbox.py` for what is to be delivered.
"""
