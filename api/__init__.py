"""Every way in: HTTP, websocket, command line. Imports the domain, never the workers."""
