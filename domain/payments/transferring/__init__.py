"""Bank transfers: the account that a customer transfers to, and the money that has arrived and no invoice has used."""
