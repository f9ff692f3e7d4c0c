"""Which kind of reply to give: two calibrated scores, one behaviour, exact propensities."""
