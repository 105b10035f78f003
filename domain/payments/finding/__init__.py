"""Say whose something at the gateway is, by its id there: what support is sent in a mail."""
