"""What happens to a data directory that was cut short or damaged, before the writer opens it."""
