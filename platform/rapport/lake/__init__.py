"""The lake: Delta tables that anybody may append to, read for a purpose, and take care of."""

from rapport.lake.lake import Lake, lake_of
from rapport.lake.views import to_json_rows

__all__ = ["Lake", "lake_of", "to_json_rows"]
