"""Events in order, for whoever would rather ask for them than be told."""
