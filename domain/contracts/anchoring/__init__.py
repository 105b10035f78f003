"""Bill days that move, and zones that change."""
