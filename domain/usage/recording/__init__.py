"""The one way in for events: snapshots that resolve them, and the committer that counts them in groups."""
