"""Parts of the payment gateway that do one thing each."""
