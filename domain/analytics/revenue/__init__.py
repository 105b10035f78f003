"""What the business earns again and again, month by month: figures over all live customers, for staff.

Figures are read from subscriptions, their terms and lasting coupons, with the rules of `domain/analytics`. Owns what
winning a customer cost, which staff enter by the month. Words: a stretch is a term of a subscription with its end;
economics are what a customer is worth against what winning one cost; a target is what a figure is shown against.
"""
