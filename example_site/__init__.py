"""A Django project with several databases, whose every multi-database case can be run with one click."""
