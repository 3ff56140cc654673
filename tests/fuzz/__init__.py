"""
Random programs of ORM calls, with an oracle that is independent of the recording.

Every alias is a connection to one and the same SQLite database, and the router answers another alias at
each call. So it makes no difference to a program where a query goes, and the alias on which a query arrives
names the one router call that sent it there. A database backend notes what arrives (``backend/base.py``), the
router what it is asked (``routers.py``). Each program runs three times: without the recording, with it, and
without it again. Results, statements and router calls must be the same, and the trace must say what the notes
say.

``python -m tests.fuzz --programs 2000`` (``make test-fuzz``) runs many, ``test_fuzz.py`` a fixed set.
"""
