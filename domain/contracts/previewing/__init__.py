"""What something would cost, before it is done."""
