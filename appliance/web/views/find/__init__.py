"""The pages that find one meter among many."""
