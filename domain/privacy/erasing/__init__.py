"""Erasures: asked for, carried out by a job, and ended when the retention of what the law wants kept is over."""
