"""A bundle for support: what tells of the appliance's state, as one file, with nothing in it that is secret."""
