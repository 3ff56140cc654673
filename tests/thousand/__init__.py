"""A project with a thousand models: what the pages are to be usable with."""
