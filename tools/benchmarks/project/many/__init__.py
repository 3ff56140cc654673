"""An app of a thousand models."""
