"""Hears utility meters by radio, keeps their readings and delivers them."""

__version__ = "0.1.0"
