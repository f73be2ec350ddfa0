"""The page of a radio."""
