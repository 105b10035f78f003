"""Owns what lowers or pays an invoice: coupons with their discounts, promotional units, and prepaid wallets.

Does not own the lines that are discounted (invoices) or the books (ledger). Words: a coupon is an offer whose terms
never change; customers take it up by a promotion code, or staff give it to them, and then it is applied, in an order;
a discount is what one coupon takes off one line, with the sign of the line's amount and never more than it; a use is
what one opened invoice took in all, and goes back where the invoice is voided. A grant is a number of units of a meter
that usage takes before it is rated; its balance is a replay of usage, never a number that is kept. A wallet
holds prepaid money in grants of its own, whose balances are kept, each move of them as a row.
"""
