"""The words of every mail: one text and one HTML template a notice."""
