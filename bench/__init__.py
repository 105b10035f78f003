"""Measurements on throw-away servers: `make bench`, or `python -m bench --quick` for a trial."""
