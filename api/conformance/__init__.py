"""`tollgate conformance DIR`: worked cases of billing, run through the functions and services that bill.

An area's module maps each kind of case to a function that reads what is given, asks the domain, and returns what it
found by the names that the cases expect. Nothing here calculates: what the domain has no rule for is an unknown kind.
"""
