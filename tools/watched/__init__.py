"""
Run other people's tests without dbroute_panel and with it, and compare the two runs.

``tools/django_suite`` does so with Django's tests, ``tools/libraries`` with those of libraries. A library may
have packages ``tests`` and ``tools``, so that ours cannot be imported beside it. Therefore the modules that
run in its process use relative imports, and are named ``dbroute_watched`` there (``places.py``).
"""
