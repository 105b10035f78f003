"""The running usage of many customers at once: what live pages watch, and what one page shows."""
