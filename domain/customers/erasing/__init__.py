"""Who a customer is, taken away; and whether that was done."""
