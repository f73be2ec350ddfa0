"""Texts that reach the technician's pages by way of a variable; the others stand in the templates."""

from appliance.errors import (
    AlreadyRunning,
    ConfigError,
    NotDelivered,
    SourceError,
    SourceHung,
    SourceLost,
    SourceUnavailable,
    StoreError,
    StoreTooNew,
)
from appliance.model import REFUSALS
from appliance.store import dials, notes
from appliance.store.retention import FULL, OVER
from appliance.store.schema import PHRASES
from appliance.support.contents import CONTENTS, NOT_IN_IT
from appliance.sync.courier import HINT_ASSIGNED, HINT_GAP, HINT_REFUSED, HINT_REVOKED, HINTS_WAITING
from appliance.sync.sparing import IN_WORDS
from appliance.sync.transport import CAUSES, HINT_CERTIFICATE, HINT_KEY
from appliance.tamper import TEXTS
from appliance.web import verdict
from appliance.web.views.meters.wanted import ASSIGNED, SORTS
from appliance.web.views.overview import SOURCES
from appliance.web.views.radio import captures as radio_captures
from appliance.web.views.radio import one_radio
from appliance.web.views.radio import survey as radio_survey
from appliance.web.views.radio import tuning as radio_tuning
from appliance.web.views.set_up import access as set_up_access
from appliance.web.views.set_up import forms as set_up_forms
from appliance.web.views.system import facts as system_facts
from appliance.web.views.system import log_words
from appliance.web.views.system.keeping import TROUBLES

# What makes a part of the program fail; the page tells each one's hint.
FAULTS = (
    *(ConfigError, SourceError, SourceUnavailable, SourceLost, SourceHung),
    *(StoreError, StoreTooNew, AlreadyRunning, NotDelivered),
)

DYNAMIC = (
    *(words for trouble in TROUBLES.values() for words in trouble),
    *(words for _, words in CONTENTS),
    NOT_IN_IT,
    *PHRASES,
    *(FULL, OVER),
    *(words for words in IN_WORDS.values() if words),
    *TEXTS,
    *dict.fromkeys((*notes.REFUSALS, *dials.REFUSALS)),
    *ASSIGNED.values(),
    *(words for words, _ in SORTS.values()),
    *("electric", "gas", "water", "unknown"),
    *("starting", "running", "retrying", "ended"),
    *("not JSON", "too long", "not a message", "another message", "time in the future"),
    *("no preamble", "checksum", "unconfirmed", "contradicted", "empty", "duplicate"),
    "the recording has ended",
    *SOURCES.values(),
    *verdict.DYNAMIC,
    *REFUSALS.values(),
    *(words for module in (one_radio, radio_captures, radio_survey, radio_tuning) for words in module.PHRASES),
    *(*set_up_forms.PHRASES, *set_up_access.PHRASES),
    *log_words.DYNAMIC,
    *system_facts.DYNAMIC,
    *(*HINTS_WAITING, HINT_REVOKED, HINT_REFUSED, HINT_GAP, HINT_ASSIGNED, HINT_KEY, HINT_CERTIFICATE),
    *CAUSES,
    "a restored backup is not in its place yet",
    *(fault.hint for fault in FAULTS),
)
