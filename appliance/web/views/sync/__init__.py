"""What an aggregator asks of the site."""
