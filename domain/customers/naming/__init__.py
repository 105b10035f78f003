"""Who a customer is, once it is there: its name, its address for notices, and the merchant's own id of it."""
