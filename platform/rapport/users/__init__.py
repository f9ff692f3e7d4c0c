"""Users as they are known: timelines, behaviour, and one vector each, decayed and causal."""
