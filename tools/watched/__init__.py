"""
Other people's tests, run without dbroute_panel and with it: what runs them, and what compares the two runs.

``tools/django_suite`` does so with Django's own tests, ``tools/libraries`` with those of libraries. A library
may have a package ``tests`` of its own, and ours cannot be imported next to it. The modules that run in its
process import each other by relative names therefore, and are ``dbroute_watched`` there (``places.py``).
"""
