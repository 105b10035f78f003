"""`tollgate webhooks`: endpoints and replays at the terminal."""
