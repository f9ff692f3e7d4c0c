"""Personas: groups of users found in how they write and behave, named, assigned and described."""

FIT_USERS = 100_000
"""Users learned from, at 1.5 KB each for vectors of 384."""
