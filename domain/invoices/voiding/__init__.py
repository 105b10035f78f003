"""An opened invoice is taken back, and its lines are due again."""
