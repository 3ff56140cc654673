"""An app that has no models, only migrations that change the rows of another one."""
