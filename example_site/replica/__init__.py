"""
The engine of a replica: Django's SQLite, brought up to date before it is read.

The file is opened read-only (``?mode=ro`` in its ``NAME``), so that a write is refused by SQLite itself.
"""
