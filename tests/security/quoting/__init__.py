"""A backend whose driver quotes what it was given, as psycopg does with a DSN that it cannot read."""
