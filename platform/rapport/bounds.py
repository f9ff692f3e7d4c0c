"""How much is held at once: what bounds memory, whatever the length of a log."""

CHUNK_ROWS = 50_000
"""Rows read, checked and appended at once where a format is read in pieces."""
HELD_TEXTS = 200_000
"""Texts read, sorted by length and embedded at once: 20 MB of short ones."""
HELD_TURNS = 10_000
"""Turns of users worked on at once: with vectors of 384 about 100 MB."""
FIT_USERS = 100_000
"""Users that personas are learned from, at 1.5 KB each for vectors of 384."""
