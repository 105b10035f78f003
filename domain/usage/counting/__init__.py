"""What a flush and a re-drive have in common: judge events, take corrected ones back, and write what is counted."""
