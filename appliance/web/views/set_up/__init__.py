"""The pages on which an appliance is set up."""
