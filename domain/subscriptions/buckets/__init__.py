"""The locks that keep borders still while usage is counted."""
