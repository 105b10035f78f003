"""Read events and totals back as billing explains and verifies them."""
