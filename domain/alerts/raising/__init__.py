"""Alerts about limits: raised once, listed, read, counted down."""
