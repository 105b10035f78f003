"""Money that we hold and no invoice can take: booked as the customer's, until staff apply it or send it back."""
