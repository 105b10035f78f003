"""The schema's history. `tollgate migrate` brings a database to the newest revision."""
