"""The list of meters."""
