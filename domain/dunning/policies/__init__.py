"""Which policy is followed for whom: versions, and what plans and customers are assigned to."""
