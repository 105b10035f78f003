"""Where coupons meet lines: what a draft's lines are reduced by, and what an opened invoice takes of coupons."""
