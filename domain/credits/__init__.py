"""Owns what lowers or prepays an invoice: coupons and the discounts that they give.

Does not own the lines that are discounted (invoices) or the books (ledger). Words: a discount is what one coupon takes
off one line; it has the sign of the line's amount and never passes it.
"""
