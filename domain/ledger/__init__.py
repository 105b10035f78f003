"""Owns the books: balanced double entries of everything that changes what a customer owes or is owed.

Does not own why an entry is made: the slice that causes it posts it in its own transaction. Words: an account is one
of the merchant's books, a debit is positive and a credit negative, an entry has at least two lines which add up to
zero in each currency, a balance is a sum of lines. Entries are never changed: a mistake is put right by another entry.
"""
