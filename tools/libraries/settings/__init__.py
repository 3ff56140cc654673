"""Settings for libraries whose sdist has none, or has some that need servers. Found by ``places.py``."""
