"""Money, periods, ids, calls and the error tree: the words every slice shares. Standard library only."""
