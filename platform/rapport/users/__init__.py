"""Users as the platform knows them: timelines, behaviour, and one vector each, decayed and causal."""
