"""The gateway's pages on which customers pay: whoever has the address of one opens it, so it is kept sealed."""
