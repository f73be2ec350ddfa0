"""The pages of the machine and the program on it: clock, log, restart, backup, support."""
