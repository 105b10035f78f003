"""How far the closing of everybody's periods has come, and what cannot be closed."""
