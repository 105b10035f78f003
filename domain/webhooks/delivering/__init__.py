"""Hands events to endpoints: lanes, tries, replays, and the log of them."""
