"""Exports: asked for, made by a job part by part, fetched by a signed link, and forgotten."""
