"""`tollgate inbox`: events of the payment provider that wait for staff, and their processing once more."""
