"""Owns what lowers or prepays an invoice: coupons and the discounts that they give.

Does not own the lines that are discounted (invoices) or the books (ledger). Words: a coupon is an offer whose terms
never change; customers take it up by a promotion code, or staff give it to them, and then it is applied, in an order;
a discount is what one coupon takes off one line, with the sign of the line's amount and never more than it; a use is
what one opened invoice took in all, and goes back where the invoice is voided.
"""
