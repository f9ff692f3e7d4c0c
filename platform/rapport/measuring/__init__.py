"""Measurements of models and estimators on files of others: what `rapport evaluate` prints."""
