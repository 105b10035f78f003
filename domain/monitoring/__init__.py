"""Owns what an operator's monitoring reads of the whole system: what waits, since when, and what waits for staff.

Does not own alerts to staff or any queue; it reads their tables, writes nothing, and tells of nobody.
Words: a gauge is a number that goes up and down; late is how long ago something was due that is not done.
"""
