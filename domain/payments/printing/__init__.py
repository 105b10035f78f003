"""What of payments is printed on the document of an invoice."""
