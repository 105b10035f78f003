"""Staff are told of metered calls whose usage nobody told."""
