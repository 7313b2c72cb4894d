"""The table side: reading, encoding, bounding and counting on executors, and generating in parallel."""
