"""The empathy card: does a release help, and whom does it harm? What answers is a `Writer`."""
