"""Django's SQLite backend, with notes of what arrives."""
