"""Measurements of the receiver. Importing `appliance.radio` first lets it say how numpy is to use the processor."""

import appliance.radio  # noqa: F401
