"""Personas: groups of users found in how they write and behave, named, assigned and described."""
