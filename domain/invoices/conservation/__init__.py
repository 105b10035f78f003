"""Prove that nothing that was counted is lost or charged twice: what became of every quantity and every event."""
