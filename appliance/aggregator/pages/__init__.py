"""The operator's pages: the fleet, one appliance, what was refused, and who did what; behind a log-in."""
