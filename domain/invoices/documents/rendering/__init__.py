"""Renders documents on a worker; nothing else imports this, since dates, money and pages take memory to write."""
