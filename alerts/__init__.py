"""Rules on what the other domains measured, what came of them, and who was told on which channel."""
