"""Payments that staff recorded and take back: a cheque that bounced, or a mistake."""
