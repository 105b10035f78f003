"""Asks a foreign service for the taxes of drafts, keeps each question with its key, and each answer."""
