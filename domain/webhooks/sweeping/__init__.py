"""Events whose webhook never arrived are looked for in the gateway's own list; those past their use are deleted."""
