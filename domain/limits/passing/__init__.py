"""When soft limits were first passed, noted once for each usage period."""
