"""The page of what waits and what was delivered."""
