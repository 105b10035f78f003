"""What customers want to be told, stored and changed, and the weekly digest."""
