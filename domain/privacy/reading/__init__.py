"""The rows that a customer has in a table, page by page, with what is sealed in them opened."""
