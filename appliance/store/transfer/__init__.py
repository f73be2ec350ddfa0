"""To and from other programs: readings exported, logs and databases of other receivers taken over."""
