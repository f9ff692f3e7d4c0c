"""What tests are built from: valid rows by keyword, and tiny random models made on the spot."""

from rapport.testing.models import tiny_encoder, tiny_language_model
from rapport.testing.rows import a_decision, a_turn, some_feedback

__all__ = ["a_decision", "a_turn", "some_feedback", "tiny_encoder", "tiny_language_model"]
