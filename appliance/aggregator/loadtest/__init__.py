"""How many appliances an aggregator on this machine serves: a fleet that is made up delivers to one of its own."""
