"""
Traces in one of the project's own databases: an app with its tables, and ``DatabaseStore``.

It is used by adding it to ``INSTALLED_APPS``, naming it in ``DBROUTE_PANEL["STORE"]``, and migrating
its database: see docs/database-store.md.
"""
