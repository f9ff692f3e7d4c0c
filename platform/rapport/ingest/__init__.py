"""Other people's logs into the lake: checked, hashed, redacted, each row once."""

from rapport.ingest.counts import Counts, Tally
from rapport.ingest.formats import FORMATS, ingest

__all__ = ["FORMATS", "Counts", "Tally", "ingest"]
