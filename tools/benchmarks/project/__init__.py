"""The project that every variant is measured in: a table, two databases, two routers (one is random)."""
