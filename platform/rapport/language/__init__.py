"""Prompts, the engine that answers them, and the training of the adapters it answers with."""
