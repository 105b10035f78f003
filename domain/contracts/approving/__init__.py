"""Plans that are sold on approval."""
