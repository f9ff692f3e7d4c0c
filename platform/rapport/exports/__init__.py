"""The log of decisions, written in formats of others; what comes in is `rapport.ingest`'s."""
