"""Credit notes and the customer's credit: what was invoiced and is given back."""
