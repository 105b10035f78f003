"""Tasks that come again: a row each, with the instant at which it runs next."""
