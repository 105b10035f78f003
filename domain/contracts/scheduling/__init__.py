"""Starts that lie ahead: kept, shown, changed, called off, and carried out at their instant."""
