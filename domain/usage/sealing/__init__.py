"""Events in quarantine, sealed: new ones as they come, and those that an earlier version has left plain."""
