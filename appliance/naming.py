"""How long an appliance's name, and the words for its place, may be: here and at the centre alike.

A name that is taken on one side and refused on the other would keep the appliance from enrolling, and all from being
delivered. So both read it here.
"""

MOST_NAME, MOST_PLACE = 80, 120
"""In characters."""
