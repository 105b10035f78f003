"""Warning a wallet's customer that little is left."""
