CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.appliance (
    appliance_id bigint NOT NULL,
    identity text NOT NULL,
    name text NOT NULL,
    version text NOT NULL,
    claim text NOT NULL,
    state text NOT NULL,
    enrolled_utc_ms bigint NOT NULL,
    approved_utc_ms bigint,
    revoked_utc_ms bigint
);
CREATE SEQUENCE public.appliance_appliance_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.appliance_appliance_id_seq OWNED BY public.appliance.appliance_id;
CREATE TABLE public.appliance_key (
    number bigint NOT NULL,
    appliance_id bigint NOT NULL,
    epoch bigint NOT NULL,
    key_id text NOT NULL,
    public_key bytea NOT NULL,
    statement bytea NOT NULL,
    added_utc_ms bigint NOT NULL,
    revoked_utc_ms bigint
);
CREATE SEQUENCE public.appliance_key_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.appliance_key_number_seq OWNED BY public.appliance_key.number;
CREATE TABLE public.assignment (
    appliance_id bigint NOT NULL,
    endpoint_id bigint NOT NULL,
    protocol text NOT NULL,
    name text NOT NULL,
    address text NOT NULL,
    multiplier text NOT NULL
);
CREATE TABLE public.assignment_list (
    appliance_id bigint NOT NULL,
    version bigint NOT NULL,
    made_utc_ms bigint NOT NULL,
    line bytea NOT NULL
);
CREATE TABLE public.batch (
    appliance_id bigint NOT NULL,
    epoch bigint NOT NULL,
    sequence bigint NOT NULL,
    sha256 text NOT NULL,
    previous text NOT NULL,
    received_utc_ms bigint NOT NULL,
    stored_utc_ms bigint NOT NULL,
    sealed_utc_ms bigint NOT NULL,
    simulated boolean NOT NULL,
    assignments bigint NOT NULL,
    payload_bytes bigint NOT NULL,
    readings bigint NOT NULL,
    receptions bigint NOT NULL,
    events bigint NOT NULL,
    told_again bigint NOT NULL
);
CREATE TABLE public.boot (
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    number bigint NOT NULL,
    kernel_id text NOT NULL,
    reading_ms bigint NOT NULL,
    reception_ms bigint NOT NULL,
    event_ms bigint NOT NULL,
    first_at bigint NOT NULL,
    last_at bigint NOT NULL,
    epoch bigint NOT NULL,
    clock text NOT NULL
);
CREATE TABLE public.chain (
    appliance_id bigint NOT NULL,
    epoch bigint NOT NULL,
    sequence bigint NOT NULL,
    sha256 text NOT NULL
);
CREATE TABLE public.enrolment_token (
    token_sha256 text NOT NULL,
    made_utc_ms bigint NOT NULL,
    expires_utc_ms bigint NOT NULL,
    used_utc_ms bigint,
    used_by text
);
CREATE TABLE public.event (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    number bigint NOT NULL,
    kind text NOT NULL,
    detail text NOT NULL
)
PARTITION BY RANGE (at);
CREATE TABLE public.event_2015_2019 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    number bigint NOT NULL,
    kind text NOT NULL,
    detail text NOT NULL
);
CREATE TABLE public.event_2020_2024 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    number bigint NOT NULL,
    kind text NOT NULL,
    detail text NOT NULL
);
CREATE TABLE public.event_2025_01 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    number bigint NOT NULL,
    kind text NOT NULL,
    detail text NOT NULL
);
CREATE TABLE public.event_2025_02 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    number bigint NOT NULL,
    kind text NOT NULL,
    detail text NOT NULL
);
CREATE TABLE public.event_2025_03 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    number bigint NOT NULL,
    kind text NOT NULL,
    detail text NOT NULL
);
CREATE TABLE public.event_2025_04 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    number bigint NOT NULL,
    kind text NOT NULL,
    detail text NOT NULL
);
CREATE TABLE public.event_2025_05 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    number bigint NOT NULL,
    kind text NOT NULL,
    detail text NOT NULL
);
CREATE TABLE public.event_2025_06 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    number bigint NOT NULL,
    kind text NOT NULL,
    detail text NOT NULL
);
CREATE TABLE public.event_2025_07 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    number bigint NOT NULL,
    kind text NOT NULL,
    detail text NOT NULL
);
CREATE TABLE public.event_2025_08 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    number bigint NOT NULL,
    kind text NOT NULL,
    detail text NOT NULL
);
CREATE TABLE public.event_2025_09 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    number bigint NOT NULL,
    kind text NOT NULL,
    detail text NOT NULL
);
CREATE TABLE public.event_2025_10 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    number bigint NOT NULL,
    kind text NOT NULL,
    detail text NOT NULL
);
CREATE TABLE public.event_2025_11 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    number bigint NOT NULL,
    kind text NOT NULL,
    detail text NOT NULL
);
CREATE TABLE public.event_2025_12 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    number bigint NOT NULL,
    kind text NOT NULL,
    detail text NOT NULL
);
CREATE TABLE public.event_2026_01 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    number bigint NOT NULL,
    kind text NOT NULL,
    detail text NOT NULL
);
CREATE TABLE public.event_2026_02 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    number bigint NOT NULL,
    kind text NOT NULL,
    detail text NOT NULL
);
CREATE TABLE public.event_2026_03 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    number bigint NOT NULL,
    kind text NOT NULL,
    detail text NOT NULL
);
CREATE TABLE public.event_2026_04 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    number bigint NOT NULL,
    kind text NOT NULL,
    detail text NOT NULL
);
CREATE TABLE public.event_2026_05 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    number bigint NOT NULL,
    kind text NOT NULL,
    detail text NOT NULL
);
CREATE TABLE public.event_2026_06 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    number bigint NOT NULL,
    kind text NOT NULL,
    detail text NOT NULL
);
CREATE TABLE public.event_before_2015 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    number bigint NOT NULL,
    kind text NOT NULL,
    detail text NOT NULL
);
CREATE TABLE public.event_later (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    number bigint NOT NULL,
    kind text NOT NULL,
    detail text NOT NULL
);
CREATE TABLE public.given_up (
    appliance_id bigint NOT NULL,
    epoch bigint NOT NULL,
    first_sequence bigint NOT NULL,
    last_sequence bigint NOT NULL,
    given_up_utc_ms bigint NOT NULL
);
CREATE TABLE public.meter (
    meter_id bigint NOT NULL,
    endpoint_id bigint NOT NULL,
    protocol text NOT NULL,
    simulated boolean NOT NULL,
    endpoint_type bigint NOT NULL,
    commodity text NOT NULL
);
CREATE SEQUENCE public.meter_meter_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.meter_meter_id_seq OWNED BY public.meter.meter_id;
CREATE TABLE public.reading (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    consumption bigint NOT NULL,
    tamper_phy integer,
    tamper_enc integer,
    flags smallint NOT NULL
)
PARTITION BY RANGE (at);
CREATE TABLE public.reading_2015_2019 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    consumption bigint NOT NULL,
    tamper_phy integer,
    tamper_enc integer,
    flags smallint NOT NULL
);
CREATE TABLE public.reading_2020_2024 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    consumption bigint NOT NULL,
    tamper_phy integer,
    tamper_enc integer,
    flags smallint NOT NULL
);
CREATE TABLE public.reading_2025_01 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    consumption bigint NOT NULL,
    tamper_phy integer,
    tamper_enc integer,
    flags smallint NOT NULL
);
CREATE TABLE public.reading_2025_02 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    consumption bigint NOT NULL,
    tamper_phy integer,
    tamper_enc integer,
    flags smallint NOT NULL
);
CREATE TABLE public.reading_2025_03 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    consumption bigint NOT NULL,
    tamper_phy integer,
    tamper_enc integer,
    flags smallint NOT NULL
);
CREATE TABLE public.reading_2025_04 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    consumption bigint NOT NULL,
    tamper_phy integer,
    tamper_enc integer,
    flags smallint NOT NULL
);
CREATE TABLE public.reading_2025_05 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    consumption bigint NOT NULL,
    tamper_phy integer,
    tamper_enc integer,
    flags smallint NOT NULL
);
CREATE TABLE public.reading_2025_06 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    consumption bigint NOT NULL,
    tamper_phy integer,
    tamper_enc integer,
    flags smallint NOT NULL
);
CREATE TABLE public.reading_2025_07 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    consumption bigint NOT NULL,
    tamper_phy integer,
    tamper_enc integer,
    flags smallint NOT NULL
);
CREATE TABLE public.reading_2025_08 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    consumption bigint NOT NULL,
    tamper_phy integer,
    tamper_enc integer,
    flags smallint NOT NULL
);
CREATE TABLE public.reading_2025_09 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    consumption bigint NOT NULL,
    tamper_phy integer,
    tamper_enc integer,
    flags smallint NOT NULL
);
CREATE TABLE public.reading_2025_10 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    consumption bigint NOT NULL,
    tamper_phy integer,
    tamper_enc integer,
    flags smallint NOT NULL
);
CREATE TABLE public.reading_2025_11 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    consumption bigint NOT NULL,
    tamper_phy integer,
    tamper_enc integer,
    flags smallint NOT NULL
);
CREATE TABLE public.reading_2025_12 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    consumption bigint NOT NULL,
    tamper_phy integer,
    tamper_enc integer,
    flags smallint NOT NULL
);
CREATE TABLE public.reading_2026_01 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    consumption bigint NOT NULL,
    tamper_phy integer,
    tamper_enc integer,
    flags smallint NOT NULL
);
CREATE TABLE public.reading_2026_02 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    consumption bigint NOT NULL,
    tamper_phy integer,
    tamper_enc integer,
    flags smallint NOT NULL
);
CREATE TABLE public.reading_2026_03 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    consumption bigint NOT NULL,
    tamper_phy integer,
    tamper_enc integer,
    flags smallint NOT NULL
);
CREATE TABLE public.reading_2026_04 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    consumption bigint NOT NULL,
    tamper_phy integer,
    tamper_enc integer,
    flags smallint NOT NULL
);
CREATE TABLE public.reading_2026_05 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    consumption bigint NOT NULL,
    tamper_phy integer,
    tamper_enc integer,
    flags smallint NOT NULL
);
CREATE TABLE public.reading_2026_06 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    consumption bigint NOT NULL,
    tamper_phy integer,
    tamper_enc integer,
    flags smallint NOT NULL
);
CREATE TABLE public.reading_before_2015 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    consumption bigint NOT NULL,
    tamper_phy integer,
    tamper_enc integer,
    flags smallint NOT NULL
);
CREATE TABLE public.reading_later (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    consumption bigint NOT NULL,
    tamper_phy integer,
    tamper_enc integer,
    flags smallint NOT NULL
);
CREATE TABLE public.reception (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    last_ms bigint NOT NULL,
    count bigint NOT NULL,
    corrected bigint NOT NULL,
    levels bigint NOT NULL,
    snr_sum_cdb bigint NOT NULL,
    snr_best_cdb bigint,
    frequency_min_hz bigint,
    frequency_max_hz bigint
)
PARTITION BY RANGE (at);
CREATE TABLE public.reception_2015_2019 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    last_ms bigint NOT NULL,
    count bigint NOT NULL,
    corrected bigint NOT NULL,
    levels bigint NOT NULL,
    snr_sum_cdb bigint NOT NULL,
    snr_best_cdb bigint,
    frequency_min_hz bigint,
    frequency_max_hz bigint
);
CREATE TABLE public.reception_2020_2024 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    last_ms bigint NOT NULL,
    count bigint NOT NULL,
    corrected bigint NOT NULL,
    levels bigint NOT NULL,
    snr_sum_cdb bigint NOT NULL,
    snr_best_cdb bigint,
    frequency_min_hz bigint,
    frequency_max_hz bigint
);
CREATE TABLE public.reception_2025_01 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    last_ms bigint NOT NULL,
    count bigint NOT NULL,
    corrected bigint NOT NULL,
    levels bigint NOT NULL,
    snr_sum_cdb bigint NOT NULL,
    snr_best_cdb bigint,
    frequency_min_hz bigint,
    frequency_max_hz bigint
);
CREATE TABLE public.reception_2025_02 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    last_ms bigint NOT NULL,
    count bigint NOT NULL,
    corrected bigint NOT NULL,
    levels bigint NOT NULL,
    snr_sum_cdb bigint NOT NULL,
    snr_best_cdb bigint,
    frequency_min_hz bigint,
    frequency_max_hz bigint
);
CREATE TABLE public.reception_2025_03 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    last_ms bigint NOT NULL,
    count bigint NOT NULL,
    corrected bigint NOT NULL,
    levels bigint NOT NULL,
    snr_sum_cdb bigint NOT NULL,
    snr_best_cdb bigint,
    frequency_min_hz bigint,
    frequency_max_hz bigint
);
CREATE TABLE public.reception_2025_04 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    last_ms bigint NOT NULL,
    count bigint NOT NULL,
    corrected bigint NOT NULL,
    levels bigint NOT NULL,
    snr_sum_cdb bigint NOT NULL,
    snr_best_cdb bigint,
    frequency_min_hz bigint,
    frequency_max_hz bigint
);
CREATE TABLE public.reception_2025_05 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    last_ms bigint NOT NULL,
    count bigint NOT NULL,
    corrected bigint NOT NULL,
    levels bigint NOT NULL,
    snr_sum_cdb bigint NOT NULL,
    snr_best_cdb bigint,
    frequency_min_hz bigint,
    frequency_max_hz bigint
);
CREATE TABLE public.reception_2025_06 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    last_ms bigint NOT NULL,
    count bigint NOT NULL,
    corrected bigint NOT NULL,
    levels bigint NOT NULL,
    snr_sum_cdb bigint NOT NULL,
    snr_best_cdb bigint,
    frequency_min_hz bigint,
    frequency_max_hz bigint
);
CREATE TABLE public.reception_2025_07 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    last_ms bigint NOT NULL,
    count bigint NOT NULL,
    corrected bigint NOT NULL,
    levels bigint NOT NULL,
    snr_sum_cdb bigint NOT NULL,
    snr_best_cdb bigint,
    frequency_min_hz bigint,
    frequency_max_hz bigint
);
CREATE TABLE public.reception_2025_08 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    last_ms bigint NOT NULL,
    count bigint NOT NULL,
    corrected bigint NOT NULL,
    levels bigint NOT NULL,
    snr_sum_cdb bigint NOT NULL,
    snr_best_cdb bigint,
    frequency_min_hz bigint,
    frequency_max_hz bigint
);
CREATE TABLE public.reception_2025_09 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    last_ms bigint NOT NULL,
    count bigint NOT NULL,
    corrected bigint NOT NULL,
    levels bigint NOT NULL,
    snr_sum_cdb bigint NOT NULL,
    snr_best_cdb bigint,
    frequency_min_hz bigint,
    frequency_max_hz bigint
);
CREATE TABLE public.reception_2025_10 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    last_ms bigint NOT NULL,
    count bigint NOT NULL,
    corrected bigint NOT NULL,
    levels bigint NOT NULL,
    snr_sum_cdb bigint NOT NULL,
    snr_best_cdb bigint,
    frequency_min_hz bigint,
    frequency_max_hz bigint
);
CREATE TABLE public.reception_2025_11 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    last_ms bigint NOT NULL,
    count bigint NOT NULL,
    corrected bigint NOT NULL,
    levels bigint NOT NULL,
    snr_sum_cdb bigint NOT NULL,
    snr_best_cdb bigint,
    frequency_min_hz bigint,
    frequency_max_hz bigint
);
CREATE TABLE public.reception_2025_12 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    last_ms bigint NOT NULL,
    count bigint NOT NULL,
    corrected bigint NOT NULL,
    levels bigint NOT NULL,
    snr_sum_cdb bigint NOT NULL,
    snr_best_cdb bigint,
    frequency_min_hz bigint,
    frequency_max_hz bigint
);
CREATE TABLE public.reception_2026_01 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    last_ms bigint NOT NULL,
    count bigint NOT NULL,
    corrected bigint NOT NULL,
    levels bigint NOT NULL,
    snr_sum_cdb bigint NOT NULL,
    snr_best_cdb bigint,
    frequency_min_hz bigint,
    frequency_max_hz bigint
);
CREATE TABLE public.reception_2026_02 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    last_ms bigint NOT NULL,
    count bigint NOT NULL,
    corrected bigint NOT NULL,
    levels bigint NOT NULL,
    snr_sum_cdb bigint NOT NULL,
    snr_best_cdb bigint,
    frequency_min_hz bigint,
    frequency_max_hz bigint
);
CREATE TABLE public.reception_2026_03 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    last_ms bigint NOT NULL,
    count bigint NOT NULL,
    corrected bigint NOT NULL,
    levels bigint NOT NULL,
    snr_sum_cdb bigint NOT NULL,
    snr_best_cdb bigint,
    frequency_min_hz bigint,
    frequency_max_hz bigint
);
CREATE TABLE public.reception_2026_04 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    last_ms bigint NOT NULL,
    count bigint NOT NULL,
    corrected bigint NOT NULL,
    levels bigint NOT NULL,
    snr_sum_cdb bigint NOT NULL,
    snr_best_cdb bigint,
    frequency_min_hz bigint,
    frequency_max_hz bigint
);
CREATE TABLE public.reception_2026_05 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    last_ms bigint NOT NULL,
    count bigint NOT NULL,
    corrected bigint NOT NULL,
    levels bigint NOT NULL,
    snr_sum_cdb bigint NOT NULL,
    snr_best_cdb bigint,
    frequency_min_hz bigint,
    frequency_max_hz bigint
);
CREATE TABLE public.reception_2026_06 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    last_ms bigint NOT NULL,
    count bigint NOT NULL,
    corrected bigint NOT NULL,
    levels bigint NOT NULL,
    snr_sum_cdb bigint NOT NULL,
    snr_best_cdb bigint,
    frequency_min_hz bigint,
    frequency_max_hz bigint
);
CREATE TABLE public.reception_before_2015 (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    last_ms bigint NOT NULL,
    count bigint NOT NULL,
    corrected bigint NOT NULL,
    levels bigint NOT NULL,
    snr_sum_cdb bigint NOT NULL,
    snr_best_cdb bigint,
    frequency_min_hz bigint,
    frequency_max_hz bigint
);
CREATE TABLE public.reception_later (
    meter_id bigint NOT NULL,
    at bigint NOT NULL,
    uncertainty_ms bigint,
    source text NOT NULL,
    appliance_id bigint NOT NULL,
    boot_id bigint NOT NULL,
    ms bigint NOT NULL,
    last_ms bigint NOT NULL,
    count bigint NOT NULL,
    corrected bigint NOT NULL,
    levels bigint NOT NULL,
    snr_sum_cdb bigint NOT NULL,
    snr_best_cdb bigint,
    frequency_min_hz bigint,
    frequency_max_hz bigint
);
CREATE TABLE public.refusal (
    number bigint NOT NULL,
    appliance_id bigint NOT NULL,
    received_utc_ms bigint NOT NULL,
    reason text NOT NULL,
    words text NOT NULL,
    line_bytes bigint NOT NULL,
    evidence bytea NOT NULL
);
CREATE TABLE public.refusal_count (
    appliance_id bigint NOT NULL,
    reason text NOT NULL,
    count bigint NOT NULL,
    first_utc_ms bigint NOT NULL,
    last_utc_ms bigint NOT NULL
);
CREATE SEQUENCE public.refusal_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.refusal_number_seq OWNED BY public.refusal.number;
CREATE TABLE public.waiting_batch (
    appliance_id bigint NOT NULL,
    epoch bigint NOT NULL,
    sequence bigint NOT NULL,
    sha256 text NOT NULL,
    previous text NOT NULL,
    received_utc_ms bigint NOT NULL,
    line bytea NOT NULL,
    line_bytes bigint NOT NULL
);
ALTER TABLE ONLY public.event ATTACH PARTITION public.event_2015_2019 FOR VALUES FROM ('1420070400000') TO ('1577836800000');
ALTER TABLE ONLY public.event ATTACH PARTITION public.event_2020_2024 FOR VALUES FROM ('1577836800000') TO ('1735689600000');
ALTER TABLE ONLY public.event ATTACH PARTITION public.event_2025_01 FOR VALUES FROM ('1735689600000') TO ('1738368000000');
ALTER TABLE ONLY public.event ATTACH PARTITION public.event_2025_02 FOR VALUES FROM ('1738368000000') TO ('1740787200000');
ALTER TABLE ONLY public.event ATTACH PARTITION public.event_2025_03 FOR VALUES FROM ('1740787200000') TO ('1743465600000');
ALTER TABLE ONLY public.event ATTACH PARTITION public.event_2025_04 FOR VALUES FROM ('1743465600000') TO ('1746057600000');
ALTER TABLE ONLY public.event ATTACH PARTITION public.event_2025_05 FOR VALUES FROM ('1746057600000') TO ('1748736000000');
ALTER TABLE ONLY public.event ATTACH PARTITION public.event_2025_06 FOR VALUES FROM ('1748736000000') TO ('1751328000000');
ALTER TABLE ONLY public.event ATTACH PARTITION public.event_2025_07 FOR VALUES FROM ('1751328000000') TO ('1754006400000');
ALTER TABLE ONLY public.event ATTACH PARTITION public.event_2025_08 FOR VALUES FROM ('1754006400000') TO ('1756684800000');
ALTER TABLE ONLY public.event ATTACH PARTITION public.event_2025_09 FOR VALUES FROM ('1756684800000') TO ('1759276800000');
ALTER TABLE ONLY public.event ATTACH PARTITION public.event_2025_10 FOR VALUES FROM ('1759276800000') TO ('1761955200000');
ALTER TABLE ONLY public.event ATTACH PARTITION public.event_2025_11 FOR VALUES FROM ('1761955200000') TO ('1764547200000');
ALTER TABLE ONLY public.event ATTACH PARTITION public.event_2025_12 FOR VALUES FROM ('1764547200000') TO ('1767225600000');
ALTER TABLE ONLY public.event ATTACH PARTITION public.event_2026_01 FOR VALUES FROM ('1767225600000') TO ('1769904000000');
ALTER TABLE ONLY public.event ATTACH PARTITION public.event_2026_02 FOR VALUES FROM ('1769904000000') TO ('1772323200000');
ALTER TABLE ONLY public.event ATTACH PARTITION public.event_2026_03 FOR VALUES FROM ('1772323200000') TO ('1775001600000');
ALTER TABLE ONLY public.event ATTACH PARTITION public.event_2026_04 FOR VALUES FROM ('1775001600000') TO ('1777593600000');
ALTER TABLE ONLY public.event ATTACH PARTITION public.event_2026_05 FOR VALUES FROM ('1777593600000') TO ('1780272000000');
ALTER TABLE ONLY public.event ATTACH PARTITION public.event_2026_06 FOR VALUES FROM ('1780272000000') TO ('1782864000000');
ALTER TABLE ONLY public.event ATTACH PARTITION public.event_before_2015 FOR VALUES FROM (MINVALUE) TO ('1420070400000');
ALTER TABLE ONLY public.event ATTACH PARTITION public.event_later FOR VALUES FROM ('1782864000000') TO (MAXVALUE);
ALTER TABLE ONLY public.reading ATTACH PARTITION public.reading_2015_2019 FOR VALUES FROM ('1420070400000') TO ('1577836800000');
ALTER TABLE ONLY public.reading ATTACH PARTITION public.reading_2020_2024 FOR VALUES FROM ('1577836800000') TO ('1735689600000');
ALTER TABLE ONLY public.reading ATTACH PARTITION public.reading_2025_01 FOR VALUES FROM ('1735689600000') TO ('1738368000000');
ALTER TABLE ONLY public.reading ATTACH PARTITION public.reading_2025_02 FOR VALUES FROM ('1738368000000') TO ('1740787200000');
ALTER TABLE ONLY public.reading ATTACH PARTITION public.reading_2025_03 FOR VALUES FROM ('1740787200000') TO ('1743465600000');
ALTER TABLE ONLY public.reading ATTACH PARTITION public.reading_2025_04 FOR VALUES FROM ('1743465600000') TO ('1746057600000');
ALTER TABLE ONLY public.reading ATTACH PARTITION public.reading_2025_05 FOR VALUES FROM ('1746057600000') TO ('1748736000000');
ALTER TABLE ONLY public.reading ATTACH PARTITION public.reading_2025_06 FOR VALUES FROM ('1748736000000') TO ('1751328000000');
ALTER TABLE ONLY public.reading ATTACH PARTITION public.reading_2025_07 FOR VALUES FROM ('1751328000000') TO ('1754006400000');
ALTER TABLE ONLY public.reading ATTACH PARTITION public.reading_2025_08 FOR VALUES FROM ('1754006400000') TO ('1756684800000');
ALTER TABLE ONLY public.reading ATTACH PARTITION public.reading_2025_09 FOR VALUES FROM ('1756684800000') TO ('1759276800000');
ALTER TABLE ONLY public.reading ATTACH PARTITION public.reading_2025_10 FOR VALUES FROM ('1759276800000') TO ('1761955200000');
ALTER TABLE ONLY public.reading ATTACH PARTITION public.reading_2025_11 FOR VALUES FROM ('1761955200000') TO ('1764547200000');
ALTER TABLE ONLY public.reading ATTACH PARTITION public.reading_2025_12 FOR VALUES FROM ('1764547200000') TO ('1767225600000');
ALTER TABLE ONLY public.reading ATTACH PARTITION public.reading_2026_01 FOR VALUES FROM ('1767225600000') TO ('1769904000000');
ALTER TABLE ONLY public.reading ATTACH PARTITION public.reading_2026_02 FOR VALUES FROM ('1769904000000') TO ('1772323200000');
ALTER TABLE ONLY public.reading ATTACH PARTITION public.reading_2026_03 FOR VALUES FROM ('1772323200000') TO ('1775001600000');
ALTER TABLE ONLY public.reading ATTACH PARTITION public.reading_2026_04 FOR VALUES FROM ('1775001600000') TO ('1777593600000');
ALTER TABLE ONLY public.reading ATTACH PARTITION public.reading_2026_05 FOR VALUES FROM ('1777593600000') TO ('1780272000000');
ALTER TABLE ONLY public.reading ATTACH PARTITION public.reading_2026_06 FOR VALUES FROM ('1780272000000') TO ('1782864000000');
ALTER TABLE ONLY public.reading ATTACH PARTITION public.reading_before_2015 FOR VALUES FROM (MINVALUE) TO ('1420070400000');
ALTER TABLE ONLY public.reading ATTACH PARTITION public.reading_later FOR VALUES FROM ('1782864000000') TO (MAXVALUE);
ALTER TABLE ONLY public.reception ATTACH PARTITION public.reception_2015_2019 FOR VALUES FROM ('1420070400000') TO ('1577836800000');
ALTER TABLE ONLY public.reception ATTACH PARTITION public.reception_2020_2024 FOR VALUES FROM ('1577836800000') TO ('1735689600000');
ALTER TABLE ONLY public.reception ATTACH PARTITION public.reception_2025_01 FOR VALUES FROM ('1735689600000') TO ('1738368000000');
ALTER TABLE ONLY public.reception ATTACH PARTITION public.reception_2025_02 FOR VALUES FROM ('1738368000000') TO ('1740787200000');
ALTER TABLE ONLY public.reception ATTACH PARTITION public.reception_2025_03 FOR VALUES FROM ('1740787200000') TO ('1743465600000');
ALTER TABLE ONLY public.reception ATTACH PARTITION public.reception_2025_04 FOR VALUES FROM ('1743465600000') TO ('1746057600000');
ALTER TABLE ONLY public.reception ATTACH PARTITION public.reception_2025_05 FOR VALUES FROM ('1746057600000') TO ('1748736000000');
ALTER TABLE ONLY public.reception ATTACH PARTITION public.reception_2025_06 FOR VALUES FROM ('1748736000000') TO ('1751328000000');
ALTER TABLE ONLY public.reception ATTACH PARTITION public.reception_2025_07 FOR VALUES FROM ('1751328000000') TO ('1754006400000');
ALTER TABLE ONLY public.reception ATTACH PARTITION public.reception_2025_08 FOR VALUES FROM ('1754006400000') TO ('1756684800000');
ALTER TABLE ONLY public.reception ATTACH PARTITION public.reception_2025_09 FOR VALUES FROM ('1756684800000') TO ('1759276800000');
ALTER TABLE ONLY public.reception ATTACH PARTITION public.reception_2025_10 FOR VALUES FROM ('1759276800000') TO ('1761955200000');
ALTER TABLE ONLY public.reception ATTACH PARTITION public.reception_2025_11 FOR VALUES FROM ('1761955200000') TO ('1764547200000');
ALTER TABLE ONLY public.reception ATTACH PARTITION public.reception_2025_12 FOR VALUES FROM ('1764547200000') TO ('1767225600000');
ALTER TABLE ONLY public.reception ATTACH PARTITION public.reception_2026_01 FOR VALUES FROM ('1767225600000') TO ('1769904000000');
ALTER TABLE ONLY public.reception ATTACH PARTITION public.reception_2026_02 FOR VALUES FROM ('1769904000000') TO ('1772323200000');
ALTER TABLE ONLY public.reception ATTACH PARTITION public.reception_2026_03 FOR VALUES FROM ('1772323200000') TO ('1775001600000');
ALTER TABLE ONLY public.reception ATTACH PARTITION public.reception_2026_04 FOR VALUES FROM ('1775001600000') TO ('1777593600000');
ALTER TABLE ONLY public.reception ATTACH PARTITION public.reception_2026_05 FOR VALUES FROM ('1777593600000') TO ('1780272000000');
ALTER TABLE ONLY public.reception ATTACH PARTITION public.reception_2026_06 FOR VALUES FROM ('1780272000000') TO ('1782864000000');
ALTER TABLE ONLY public.reception ATTACH PARTITION public.reception_before_2015 FOR VALUES FROM (MINVALUE) TO ('1420070400000');
ALTER TABLE ONLY public.reception ATTACH PARTITION public.reception_later FOR VALUES FROM ('1782864000000') TO (MAXVALUE);
ALTER TABLE ONLY public.appliance ALTER COLUMN appliance_id SET DEFAULT nextval('public.appliance_appliance_id_seq'::regclass);
ALTER TABLE ONLY public.appliance_key ALTER COLUMN number SET DEFAULT nextval('public.appliance_key_number_seq'::regclass);
ALTER TABLE ONLY public.meter ALTER COLUMN meter_id SET DEFAULT nextval('public.meter_meter_id_seq'::regclass);
ALTER TABLE ONLY public.refusal ALTER COLUMN number SET DEFAULT nextval('public.refusal_number_seq'::regclass);
INSERT INTO public.alembic_version VALUES ('0002');
INSERT INTO public.appliance VALUES (1, 'ce06685804a0917a1c8b72038e768ee1', 'street 1', '0.1.0', 'a43ad87883fc3491f3de9f864f3f1fc23150ce08333f4a3b8cf158c01298a05a', 'approved', 1774001000000, 1774001000000, NULL);
INSERT INTO public.appliance_key VALUES (1, 1, 1, 'ce06685804a0917a1c8b72038e768ee1e5103c2b41e006de7dfe9e88e75a74ee', '\xcd03fbddcaaa2703c251656d5ccdd99f5635b1e0653c0636b951a3a3db21dad4', '\x7b227061796c6f6164223a2265794a686348427361574675593255694f694169593255774e6a59344e5467774e4745774f5445335954466a4f4749334d6a417a4f4755334e6a686c5a5445694c4341696348566962476c6a5832746c6553493649434a36555641334d324e786355703355454e5656315a305745307a576d34785754467a5a554a735545465a4d6e5657523270764f584e6f4d6e52525053497349434a755957316c496a6f67496e4e30636d566c6443417849697767496e5a6c636e4e70623234694f6941694d4334784c6a41694c43416959327868615730694f6941695954517a595751344e7a67344d325a6a4d7a51354d57597a5a4755355a6a67324e47597a5a6a466d597a497a4d545577593255774f444d7a4d32593059544e694f474e6d4d545534597a41784d6a6b34595441315953497349434a306232746c626949364943496966513d3d222c227061796c6f616454797065223a226170706c69636174696f6e2f766e642e6d657465722d6170706c69616e63652e656e726f6c6d656e742e76312b6a736f6e222c227369676e617475726573223a5b7b226b65796964223a2263653036363835383034613039313761316338623732303338653736386565316535313033633262343165303036646537646665396538386537356137346565222c22736967223a223677642f424f4558535269747a6e755258533953576f5a694b634c706f66715446384e4a50794a6c5551704574637769564d5759677279495664385148356e56564e4d6434587433454b57534b76754876734a4a44773d3d227d5d7d', 1774001000000, NULL);
INSERT INTO public.assignment VALUES (1, 17000001, 'scm', 'Calle 5, 12', 'Calle 5 nº 12, Ñuñoa', '0.01');
INSERT INTO public.assignment VALUES (1, 70000002, '', 'Pozo', '', '1');
INSERT INTO public.assignment_list VALUES (1, 1774001000, 1774001000000, '\x7b227061796c6f6164223a224834734941414141414141434130324d4d5136435142424672374b5a656d4a6d454e69563167765945304c4764516f535949324168635a446542526253376d59477969302b2f2b392f4838484f5a2f62526e717655494258796e4f584f557146646d794676547661684c5a4f626535554752437565686d613045504231715a45544551496e5a79306e6b5a6664384f2f574a324f63514a4657624a6445434d4d766f745865326c624e526b61546e374e394a393342476a6d357a532f676b524447324b6f73467a6e6c434245654169334145754b726e70384152496f4d774c4941414141222c227061796c6f616454797065223a226170706c69636174696f6e2f766e642e6d657465722d6170706c69616e63652e61737369676e6d656e74732e76312b6a736f6e2b677a6970222c227369676e617475726573223a5b7b226b65796964223a2235363437356161373534363334373463303238356466356462663262636162373364613635313335383833396539623737343831623265616231303737303863222c22736967223a2270506c7576384d504d65414437667a30617552727537424e64304878696f646a396d376e3239584256614e6d6b673662317957336a693554557773625955394946586b7058346b5064566971592f55374333756c43773d3d227d5d7d');
INSERT INTO public.batch VALUES (1, 1, 1, '626b77c73653a247f395711e8eb421ed2339634175bf62b1609cddcc86d2d342', '', 1774001000000, 1774001000000, 1774000900501, false, 0, 572, 3, 2, 1, 0);
INSERT INTO public.boot VALUES (1, 1, 3, 'boot three', 301000, 0, 301000, 1774000000000, 1774000301000, 1, '[[0,1774000000000,250,"ntp"],[900000,1774000900001,250,"ntp"]]');
INSERT INTO public.chain VALUES (1, 1, 1, '626b77c73653a247f395711e8eb421ed2339634175bf62b1609cddcc86d2d342');
INSERT INTO public.event_2026_03 VALUES (1, 1774000301000, 250, 'ntp', 1, 1, 301000, 5, 'tamper', '{"phy": [0, 1], "enc": [3, 3]}');
INSERT INTO public.meter VALUES (1, 17000001, 'scm', false, 7, 'electric');
INSERT INTO public.meter VALUES (2, 70000002, 'scm+', false, 12, 'gas');
INSERT INTO public.reading_2026_03 VALUES (1, 1774000001000, 250, 'ntp', 1, 1, 1000, 31160, 0, 3, 0);
INSERT INTO public.reading_2026_03 VALUES (1, 1774000301000, 250, 'ntp', 1, 1, 301000, 31163, 0, 3, 0);
INSERT INTO public.reading_2026_03 VALUES (2, 1774000002500, 250, 'ntp', 1, 1, 2500, 7, NULL, NULL, 1);
INSERT INTO public.reception_2026_03 VALUES (1, 1774000000000, 250, 'ntp', 1, 1, 0, 889000, 29, 2, 29, 40623, 1875, 909586000, 921000000);
INSERT INTO public.reception_2026_03 VALUES (2, 1774000000000, 250, 'ntp', 1, 1, 0, 2500, 1, 0, 0, 0, NULL, NULL, NULL);
SELECT pg_catalog.setval('public.appliance_appliance_id_seq', 1, true);
SELECT pg_catalog.setval('public.appliance_key_number_seq', 1, true);
SELECT pg_catalog.setval('public.meter_meter_id_seq', 2, true);
SELECT pg_catalog.setval('public.refusal_number_seq', 1, false);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.appliance
    ADD CONSTRAINT appliance_identity_unique UNIQUE (identity);
ALTER TABLE ONLY public.appliance_key
    ADD CONSTRAINT appliance_key_appliance_id_unique UNIQUE (appliance_id, epoch);
ALTER TABLE ONLY public.appliance_key
    ADD CONSTRAINT appliance_key_key_id_unique UNIQUE (key_id);
ALTER TABLE ONLY public.appliance_key
    ADD CONSTRAINT appliance_key_pkey PRIMARY KEY (number);
ALTER TABLE ONLY public.appliance
    ADD CONSTRAINT appliance_pkey PRIMARY KEY (appliance_id);
ALTER TABLE ONLY public.assignment_list
    ADD CONSTRAINT assignment_list_pkey PRIMARY KEY (appliance_id);
ALTER TABLE ONLY public.assignment
    ADD CONSTRAINT assignment_pkey PRIMARY KEY (appliance_id, endpoint_id, protocol);
ALTER TABLE ONLY public.batch
    ADD CONSTRAINT batch_appliance_id_unique UNIQUE (appliance_id, sha256);
ALTER TABLE ONLY public.batch
    ADD CONSTRAINT batch_pkey PRIMARY KEY (appliance_id, epoch, sequence);
ALTER TABLE ONLY public.boot
    ADD CONSTRAINT boot_appliance_id_unique UNIQUE (appliance_id, number, kernel_id);
ALTER TABLE ONLY public.boot
    ADD CONSTRAINT boot_pkey PRIMARY KEY (appliance_id, boot_id);
ALTER TABLE ONLY public.chain
    ADD CONSTRAINT chain_pkey PRIMARY KEY (appliance_id, epoch);
ALTER TABLE ONLY public.enrolment_token
    ADD CONSTRAINT enrolment_token_pkey PRIMARY KEY (token_sha256);
ALTER TABLE ONLY public.event
    ADD CONSTRAINT event_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms, number);
ALTER TABLE ONLY public.event_2015_2019
    ADD CONSTRAINT event_2015_2019_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms, number);
ALTER TABLE ONLY public.event_2020_2024
    ADD CONSTRAINT event_2020_2024_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms, number);
ALTER TABLE ONLY public.event_2025_01
    ADD CONSTRAINT event_2025_01_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms, number);
ALTER TABLE ONLY public.event_2025_02
    ADD CONSTRAINT event_2025_02_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms, number);
ALTER TABLE ONLY public.event_2025_03
    ADD CONSTRAINT event_2025_03_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms, number);
ALTER TABLE ONLY public.event_2025_04
    ADD CONSTRAINT event_2025_04_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms, number);
ALTER TABLE ONLY public.event_2025_05
    ADD CONSTRAINT event_2025_05_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms, number);
ALTER TABLE ONLY public.event_2025_06
    ADD CONSTRAINT event_2025_06_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms, number);
ALTER TABLE ONLY public.event_2025_07
    ADD CONSTRAINT event_2025_07_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms, number);
ALTER TABLE ONLY public.event_2025_08
    ADD CONSTRAINT event_2025_08_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms, number);
ALTER TABLE ONLY public.event_2025_09
    ADD CONSTRAINT event_2025_09_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms, number);
ALTER TABLE ONLY public.event_2025_10
    ADD CONSTRAINT event_2025_10_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms, number);
ALTER TABLE ONLY public.event_2025_11
    ADD CONSTRAINT event_2025_11_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms, number);
ALTER TABLE ONLY public.event_2025_12
    ADD CONSTRAINT event_2025_12_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms, number);
ALTER TABLE ONLY public.event_2026_01
    ADD CONSTRAINT event_2026_01_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms, number);
ALTER TABLE ONLY public.event_2026_02
    ADD CONSTRAINT event_2026_02_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms, number);
ALTER TABLE ONLY public.event_2026_03
    ADD CONSTRAINT event_2026_03_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms, number);
ALTER TABLE ONLY public.event_2026_04
    ADD CONSTRAINT event_2026_04_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms, number);
ALTER TABLE ONLY public.event_2026_05
    ADD CONSTRAINT event_2026_05_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms, number);
ALTER TABLE ONLY public.event_2026_06
    ADD CONSTRAINT event_2026_06_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms, number);
ALTER TABLE ONLY public.event_before_2015
    ADD CONSTRAINT event_before_2015_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms, number);
ALTER TABLE ONLY public.event_later
    ADD CONSTRAINT event_later_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms, number);
ALTER TABLE ONLY public.given_up
    ADD CONSTRAINT given_up_pkey PRIMARY KEY (appliance_id, epoch, first_sequence);
ALTER TABLE ONLY public.meter
    ADD CONSTRAINT meter_endpoint_id_unique UNIQUE (endpoint_id, protocol, simulated);
ALTER TABLE ONLY public.meter
    ADD CONSTRAINT meter_pkey PRIMARY KEY (meter_id);
ALTER TABLE ONLY public.reading
    ADD CONSTRAINT reading_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reading_2015_2019
    ADD CONSTRAINT reading_2015_2019_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reading_2020_2024
    ADD CONSTRAINT reading_2020_2024_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reading_2025_01
    ADD CONSTRAINT reading_2025_01_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reading_2025_02
    ADD CONSTRAINT reading_2025_02_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reading_2025_03
    ADD CONSTRAINT reading_2025_03_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reading_2025_04
    ADD CONSTRAINT reading_2025_04_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reading_2025_05
    ADD CONSTRAINT reading_2025_05_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reading_2025_06
    ADD CONSTRAINT reading_2025_06_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reading_2025_07
    ADD CONSTRAINT reading_2025_07_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reading_2025_08
    ADD CONSTRAINT reading_2025_08_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reading_2025_09
    ADD CONSTRAINT reading_2025_09_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reading_2025_10
    ADD CONSTRAINT reading_2025_10_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reading_2025_11
    ADD CONSTRAINT reading_2025_11_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reading_2025_12
    ADD CONSTRAINT reading_2025_12_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reading_2026_01
    ADD CONSTRAINT reading_2026_01_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reading_2026_02
    ADD CONSTRAINT reading_2026_02_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reading_2026_03
    ADD CONSTRAINT reading_2026_03_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reading_2026_04
    ADD CONSTRAINT reading_2026_04_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reading_2026_05
    ADD CONSTRAINT reading_2026_05_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reading_2026_06
    ADD CONSTRAINT reading_2026_06_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reading_before_2015
    ADD CONSTRAINT reading_before_2015_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reading_later
    ADD CONSTRAINT reading_later_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reception
    ADD CONSTRAINT reception_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reception_2015_2019
    ADD CONSTRAINT reception_2015_2019_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reception_2020_2024
    ADD CONSTRAINT reception_2020_2024_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reception_2025_01
    ADD CONSTRAINT reception_2025_01_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reception_2025_02
    ADD CONSTRAINT reception_2025_02_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reception_2025_03
    ADD CONSTRAINT reception_2025_03_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reception_2025_04
    ADD CONSTRAINT reception_2025_04_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reception_2025_05
    ADD CONSTRAINT reception_2025_05_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reception_2025_06
    ADD CONSTRAINT reception_2025_06_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reception_2025_07
    ADD CONSTRAINT reception_2025_07_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reception_2025_08
    ADD CONSTRAINT reception_2025_08_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reception_2025_09
    ADD CONSTRAINT reception_2025_09_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reception_2025_10
    ADD CONSTRAINT reception_2025_10_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reception_2025_11
    ADD CONSTRAINT reception_2025_11_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reception_2025_12
    ADD CONSTRAINT reception_2025_12_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reception_2026_01
    ADD CONSTRAINT reception_2026_01_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reception_2026_02
    ADD CONSTRAINT reception_2026_02_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reception_2026_03
    ADD CONSTRAINT reception_2026_03_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reception_2026_04
    ADD CONSTRAINT reception_2026_04_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reception_2026_05
    ADD CONSTRAINT reception_2026_05_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reception_2026_06
    ADD CONSTRAINT reception_2026_06_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reception_before_2015
    ADD CONSTRAINT reception_before_2015_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.reception_later
    ADD CONSTRAINT reception_later_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms);
ALTER TABLE ONLY public.refusal_count
    ADD CONSTRAINT refusal_count_pkey PRIMARY KEY (appliance_id, reason);
ALTER TABLE ONLY public.refusal
    ADD CONSTRAINT refusal_pkey PRIMARY KEY (number);
ALTER TABLE ONLY public.waiting_batch
    ADD CONSTRAINT waiting_batch_pkey PRIMARY KEY (appliance_id, epoch, sequence);
CREATE INDEX event_told ON ONLY public.event USING btree (appliance_id, boot_id, ms);
CREATE INDEX event_2015_2019_appliance_id_boot_id_ms_idx ON public.event_2015_2019 USING btree (appliance_id, boot_id, ms);
CREATE INDEX event_2020_2024_appliance_id_boot_id_ms_idx ON public.event_2020_2024 USING btree (appliance_id, boot_id, ms);
CREATE INDEX event_2025_01_appliance_id_boot_id_ms_idx ON public.event_2025_01 USING btree (appliance_id, boot_id, ms);
CREATE INDEX event_2025_02_appliance_id_boot_id_ms_idx ON public.event_2025_02 USING btree (appliance_id, boot_id, ms);
CREATE INDEX event_2025_03_appliance_id_boot_id_ms_idx ON public.event_2025_03 USING btree (appliance_id, boot_id, ms);
CREATE INDEX event_2025_04_appliance_id_boot_id_ms_idx ON public.event_2025_04 USING btree (appliance_id, boot_id, ms);
CREATE INDEX event_2025_05_appliance_id_boot_id_ms_idx ON public.event_2025_05 USING btree (appliance_id, boot_id, ms);
CREATE INDEX event_2025_06_appliance_id_boot_id_ms_idx ON public.event_2025_06 USING btree (appliance_id, boot_id, ms);
CREATE INDEX event_2025_07_appliance_id_boot_id_ms_idx ON public.event_2025_07 USING btree (appliance_id, boot_id, ms);
CREATE INDEX event_2025_08_appliance_id_boot_id_ms_idx ON public.event_2025_08 USING btree (appliance_id, boot_id, ms);
CREATE INDEX event_2025_09_appliance_id_boot_id_ms_idx ON public.event_2025_09 USING btree (appliance_id, boot_id, ms);
CREATE INDEX event_2025_10_appliance_id_boot_id_ms_idx ON public.event_2025_10 USING btree (appliance_id, boot_id, ms);
CREATE INDEX event_2025_11_appliance_id_boot_id_ms_idx ON public.event_2025_11 USING btree (appliance_id, boot_id, ms);
CREATE INDEX event_2025_12_appliance_id_boot_id_ms_idx ON public.event_2025_12 USING btree (appliance_id, boot_id, ms);
CREATE INDEX event_2026_01_appliance_id_boot_id_ms_idx ON public.event_2026_01 USING btree (appliance_id, boot_id, ms);
CREATE INDEX event_2026_02_appliance_id_boot_id_ms_idx ON public.event_2026_02 USING btree (appliance_id, boot_id, ms);
CREATE INDEX event_2026_03_appliance_id_boot_id_ms_idx ON public.event_2026_03 USING btree (appliance_id, boot_id, ms);
CREATE INDEX event_2026_04_appliance_id_boot_id_ms_idx ON public.event_2026_04 USING btree (appliance_id, boot_id, ms);
CREATE INDEX event_2026_05_appliance_id_boot_id_ms_idx ON public.event_2026_05 USING btree (appliance_id, boot_id, ms);
CREATE INDEX event_2026_06_appliance_id_boot_id_ms_idx ON public.event_2026_06 USING btree (appliance_id, boot_id, ms);
CREATE INDEX event_before_2015_appliance_id_boot_id_ms_idx ON public.event_before_2015 USING btree (appliance_id, boot_id, ms);
CREATE INDEX event_later_appliance_id_boot_id_ms_idx ON public.event_later USING btree (appliance_id, boot_id, ms);
CREATE INDEX reading_told ON ONLY public.reading USING btree (appliance_id, boot_id, ms);
CREATE INDEX reading_2015_2019_appliance_id_boot_id_ms_idx ON public.reading_2015_2019 USING btree (appliance_id, boot_id, ms);
CREATE INDEX reading_2020_2024_appliance_id_boot_id_ms_idx ON public.reading_2020_2024 USING btree (appliance_id, boot_id, ms);
CREATE INDEX reading_2025_01_appliance_id_boot_id_ms_idx ON public.reading_2025_01 USING btree (appliance_id, boot_id, ms);
CREATE INDEX reading_2025_02_appliance_id_boot_id_ms_idx ON public.reading_2025_02 USING btree (appliance_id, boot_id, ms);
CREATE INDEX reading_2025_03_appliance_id_boot_id_ms_idx ON public.reading_2025_03 USING btree (appliance_id, boot_id, ms);
CREATE INDEX reading_2025_04_appliance_id_boot_id_ms_idx ON public.reading_2025_04 USING btree (appliance_id, boot_id, ms);
CREATE INDEX reading_2025_05_appliance_id_boot_id_ms_idx ON public.reading_2025_05 USING btree (appliance_id, boot_id, ms);
CREATE INDEX reading_2025_06_appliance_id_boot_id_ms_idx ON public.reading_2025_06 USING btree (appliance_id, boot_id, ms);
CREATE INDEX reading_2025_07_appliance_id_boot_id_ms_idx ON public.reading_2025_07 USING btree (appliance_id, boot_id, ms);
CREATE INDEX reading_2025_08_appliance_id_boot_id_ms_idx ON public.reading_2025_08 USING btree (appliance_id, boot_id, ms);
CREATE INDEX reading_2025_09_appliance_id_boot_id_ms_idx ON public.reading_2025_09 USING btree (appliance_id, boot_id, ms);
CREATE INDEX reading_2025_10_appliance_id_boot_id_ms_idx ON public.reading_2025_10 USING btree (appliance_id, boot_id, ms);
CREATE INDEX reading_2025_11_appliance_id_boot_id_ms_idx ON public.reading_2025_11 USING btree (appliance_id, boot_id, ms);
CREATE INDEX reading_2025_12_appliance_id_boot_id_ms_idx ON public.reading_2025_12 USING btree (appliance_id, boot_id, ms);
CREATE INDEX reading_2026_01_appliance_id_boot_id_ms_idx ON public.reading_2026_01 USING btree (appliance_id, boot_id, ms);
CREATE INDEX reading_2026_02_appliance_id_boot_id_ms_idx ON public.reading_2026_02 USING btree (appliance_id, boot_id, ms);
CREATE INDEX reading_2026_03_appliance_id_boot_id_ms_idx ON public.reading_2026_03 USING btree (appliance_id, boot_id, ms);
CREATE INDEX reading_2026_04_appliance_id_boot_id_ms_idx ON public.reading_2026_04 USING btree (appliance_id, boot_id, ms);
CREATE INDEX reading_2026_05_appliance_id_boot_id_ms_idx ON public.reading_2026_05 USING btree (appliance_id, boot_id, ms);
CREATE INDEX reading_2026_06_appliance_id_boot_id_ms_idx ON public.reading_2026_06 USING btree (appliance_id, boot_id, ms);
CREATE INDEX reading_before_2015_appliance_id_boot_id_ms_idx ON public.reading_before_2015 USING btree (appliance_id, boot_id, ms);
CREATE INDEX reading_later_appliance_id_boot_id_ms_idx ON public.reading_later USING btree (appliance_id, boot_id, ms);
CREATE INDEX reception_told ON ONLY public.reception USING btree (appliance_id, boot_id, ms);
CREATE INDEX reception_2015_2019_appliance_id_boot_id_ms_idx ON public.reception_2015_2019 USING btree (appliance_id, boot_id, ms);
CREATE INDEX reception_2020_2024_appliance_id_boot_id_ms_idx ON public.reception_2020_2024 USING btree (appliance_id, boot_id, ms);
CREATE INDEX reception_2025_01_appliance_id_boot_id_ms_idx ON public.reception_2025_01 USING btree (appliance_id, boot_id, ms);
CREATE INDEX reception_2025_02_appliance_id_boot_id_ms_idx ON public.reception_2025_02 USING btree (appliance_id, boot_id, ms);
CREATE INDEX reception_2025_03_appliance_id_boot_id_ms_idx ON public.reception_2025_03 USING btree (appliance_id, boot_id, ms);
CREATE INDEX reception_2025_04_appliance_id_boot_id_ms_idx ON public.reception_2025_04 USING btree (appliance_id, boot_id, ms);
CREATE INDEX reception_2025_05_appliance_id_boot_id_ms_idx ON public.reception_2025_05 USING btree (appliance_id, boot_id, ms);
CREATE INDEX reception_2025_06_appliance_id_boot_id_ms_idx ON public.reception_2025_06 USING btree (appliance_id, boot_id, ms);
CREATE INDEX reception_2025_07_appliance_id_boot_id_ms_idx ON public.reception_2025_07 USING btree (appliance_id, boot_id, ms);
CREATE INDEX reception_2025_08_appliance_id_boot_id_ms_idx ON public.reception_2025_08 USING btree (appliance_id, boot_id, ms);
CREATE INDEX reception_2025_09_appliance_id_boot_id_ms_idx ON public.reception_2025_09 USING btree (appliance_id, boot_id, ms);
CREATE INDEX reception_2025_10_appliance_id_boot_id_ms_idx ON public.reception_2025_10 USING btree (appliance_id, boot_id, ms);
CREATE INDEX reception_2025_11_appliance_id_boot_id_ms_idx ON public.reception_2025_11 USING btree (appliance_id, boot_id, ms);
CREATE INDEX reception_2025_12_appliance_id_boot_id_ms_idx ON public.reception_2025_12 USING btree (appliance_id, boot_id, ms);
CREATE INDEX reception_2026_01_appliance_id_boot_id_ms_idx ON public.reception_2026_01 USING btree (appliance_id, boot_id, ms);
CREATE INDEX reception_2026_02_appliance_id_boot_id_ms_idx ON public.reception_2026_02 USING btree (appliance_id, boot_id, ms);
CREATE INDEX reception_2026_03_appliance_id_boot_id_ms_idx ON public.reception_2026_03 USING btree (appliance_id, boot_id, ms);
CREATE INDEX reception_2026_04_appliance_id_boot_id_ms_idx ON public.reception_2026_04 USING btree (appliance_id, boot_id, ms);
CREATE INDEX reception_2026_05_appliance_id_boot_id_ms_idx ON public.reception_2026_05 USING btree (appliance_id, boot_id, ms);
CREATE INDEX reception_2026_06_appliance_id_boot_id_ms_idx ON public.reception_2026_06 USING btree (appliance_id, boot_id, ms);
CREATE INDEX reception_before_2015_appliance_id_boot_id_ms_idx ON public.reception_before_2015 USING btree (appliance_id, boot_id, ms);
CREATE INDEX reception_later_appliance_id_boot_id_ms_idx ON public.reception_later USING btree (appliance_id, boot_id, ms);
CREATE INDEX refusal_of ON public.refusal USING btree (appliance_id, number);
ALTER INDEX public.event_told ATTACH PARTITION public.event_2015_2019_appliance_id_boot_id_ms_idx;
ALTER INDEX public.event_pkey ATTACH PARTITION public.event_2015_2019_pkey;
ALTER INDEX public.event_told ATTACH PARTITION public.event_2020_2024_appliance_id_boot_id_ms_idx;
ALTER INDEX public.event_pkey ATTACH PARTITION public.event_2020_2024_pkey;
ALTER INDEX public.event_told ATTACH PARTITION public.event_2025_01_appliance_id_boot_id_ms_idx;
ALTER INDEX public.event_pkey ATTACH PARTITION public.event_2025_01_pkey;
ALTER INDEX public.event_told ATTACH PARTITION public.event_2025_02_appliance_id_boot_id_ms_idx;
ALTER INDEX public.event_pkey ATTACH PARTITION public.event_2025_02_pkey;
ALTER INDEX public.event_told ATTACH PARTITION public.event_2025_03_appliance_id_boot_id_ms_idx;
ALTER INDEX public.event_pkey ATTACH PARTITION public.event_2025_03_pkey;
ALTER INDEX public.event_told ATTACH PARTITION public.event_2025_04_appliance_id_boot_id_ms_idx;
ALTER INDEX public.event_pkey ATTACH PARTITION public.event_2025_04_pkey;
ALTER INDEX public.event_told ATTACH PARTITION public.event_2025_05_appliance_id_boot_id_ms_idx;
ALTER INDEX public.event_pkey ATTACH PARTITION public.event_2025_05_pkey;
ALTER INDEX public.event_told ATTACH PARTITION public.event_2025_06_appliance_id_boot_id_ms_idx;
ALTER INDEX public.event_pkey ATTACH PARTITION public.event_2025_06_pkey;
ALTER INDEX public.event_told ATTACH PARTITION public.event_2025_07_appliance_id_boot_id_ms_idx;
ALTER INDEX public.event_pkey ATTACH PARTITION public.event_2025_07_pkey;
ALTER INDEX public.event_told ATTACH PARTITION public.event_2025_08_appliance_id_boot_id_ms_idx;
ALTER INDEX public.event_pkey ATTACH PARTITION public.event_2025_08_pkey;
ALTER INDEX public.event_told ATTACH PARTITION public.event_2025_09_appliance_id_boot_id_ms_idx;
ALTER INDEX public.event_pkey ATTACH PARTITION public.event_2025_09_pkey;
ALTER INDEX public.event_told ATTACH PARTITION public.event_2025_10_appliance_id_boot_id_ms_idx;
ALTER INDEX public.event_pkey ATTACH PARTITION public.event_2025_10_pkey;
ALTER INDEX public.event_told ATTACH PARTITION public.event_2025_11_appliance_id_boot_id_ms_idx;
ALTER INDEX public.event_pkey ATTACH PARTITION public.event_2025_11_pkey;
ALTER INDEX public.event_told ATTACH PARTITION public.event_2025_12_appliance_id_boot_id_ms_idx;
ALTER INDEX public.event_pkey ATTACH PARTITION public.event_2025_12_pkey;
ALTER INDEX public.event_told ATTACH PARTITION public.event_2026_01_appliance_id_boot_id_ms_idx;
ALTER INDEX public.event_pkey ATTACH PARTITION public.event_2026_01_pkey;
ALTER INDEX public.event_told ATTACH PARTITION public.event_2026_02_appliance_id_boot_id_ms_idx;
ALTER INDEX public.event_pkey ATTACH PARTITION public.event_2026_02_pkey;
ALTER INDEX public.event_told ATTACH PARTITION public.event_2026_03_appliance_id_boot_id_ms_idx;
ALTER INDEX public.event_pkey ATTACH PARTITION public.event_2026_03_pkey;
ALTER INDEX public.event_told ATTACH PARTITION public.event_2026_04_appliance_id_boot_id_ms_idx;
ALTER INDEX public.event_pkey ATTACH PARTITION public.event_2026_04_pkey;
ALTER INDEX public.event_told ATTACH PARTITION public.event_2026_05_appliance_id_boot_id_ms_idx;
ALTER INDEX public.event_pkey ATTACH PARTITION public.event_2026_05_pkey;
ALTER INDEX public.event_told ATTACH PARTITION public.event_2026_06_appliance_id_boot_id_ms_idx;
ALTER INDEX public.event_pkey ATTACH PARTITION public.event_2026_06_pkey;
ALTER INDEX public.event_told ATTACH PARTITION public.event_before_2015_appliance_id_boot_id_ms_idx;
ALTER INDEX public.event_pkey ATTACH PARTITION public.event_before_2015_pkey;
ALTER INDEX public.event_told ATTACH PARTITION public.event_later_appliance_id_boot_id_ms_idx;
ALTER INDEX public.event_pkey ATTACH PARTITION public.event_later_pkey;
ALTER INDEX public.reading_told ATTACH PARTITION public.reading_2015_2019_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reading_pkey ATTACH PARTITION public.reading_2015_2019_pkey;
ALTER INDEX public.reading_told ATTACH PARTITION public.reading_2020_2024_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reading_pkey ATTACH PARTITION public.reading_2020_2024_pkey;
ALTER INDEX public.reading_told ATTACH PARTITION public.reading_2025_01_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reading_pkey ATTACH PARTITION public.reading_2025_01_pkey;
ALTER INDEX public.reading_told ATTACH PARTITION public.reading_2025_02_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reading_pkey ATTACH PARTITION public.reading_2025_02_pkey;
ALTER INDEX public.reading_told ATTACH PARTITION public.reading_2025_03_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reading_pkey ATTACH PARTITION public.reading_2025_03_pkey;
ALTER INDEX public.reading_told ATTACH PARTITION public.reading_2025_04_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reading_pkey ATTACH PARTITION public.reading_2025_04_pkey;
ALTER INDEX public.reading_told ATTACH PARTITION public.reading_2025_05_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reading_pkey ATTACH PARTITION public.reading_2025_05_pkey;
ALTER INDEX public.reading_told ATTACH PARTITION public.reading_2025_06_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reading_pkey ATTACH PARTITION public.reading_2025_06_pkey;
ALTER INDEX public.reading_told ATTACH PARTITION public.reading_2025_07_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reading_pkey ATTACH PARTITION public.reading_2025_07_pkey;
ALTER INDEX public.reading_told ATTACH PARTITION public.reading_2025_08_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reading_pkey ATTACH PARTITION public.reading_2025_08_pkey;
ALTER INDEX public.reading_told ATTACH PARTITION public.reading_2025_09_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reading_pkey ATTACH PARTITION public.reading_2025_09_pkey;
ALTER INDEX public.reading_told ATTACH PARTITION public.reading_2025_10_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reading_pkey ATTACH PARTITION public.reading_2025_10_pkey;
ALTER INDEX public.reading_told ATTACH PARTITION public.reading_2025_11_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reading_pkey ATTACH PARTITION public.reading_2025_11_pkey;
ALTER INDEX public.reading_told ATTACH PARTITION public.reading_2025_12_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reading_pkey ATTACH PARTITION public.reading_2025_12_pkey;
ALTER INDEX public.reading_told ATTACH PARTITION public.reading_2026_01_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reading_pkey ATTACH PARTITION public.reading_2026_01_pkey;
ALTER INDEX public.reading_told ATTACH PARTITION public.reading_2026_02_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reading_pkey ATTACH PARTITION public.reading_2026_02_pkey;
ALTER INDEX public.reading_told ATTACH PARTITION public.reading_2026_03_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reading_pkey ATTACH PARTITION public.reading_2026_03_pkey;
ALTER INDEX public.reading_told ATTACH PARTITION public.reading_2026_04_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reading_pkey ATTACH PARTITION public.reading_2026_04_pkey;
ALTER INDEX public.reading_told ATTACH PARTITION public.reading_2026_05_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reading_pkey ATTACH PARTITION public.reading_2026_05_pkey;
ALTER INDEX public.reading_told ATTACH PARTITION public.reading_2026_06_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reading_pkey ATTACH PARTITION public.reading_2026_06_pkey;
ALTER INDEX public.reading_told ATTACH PARTITION public.reading_before_2015_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reading_pkey ATTACH PARTITION public.reading_before_2015_pkey;
ALTER INDEX public.reading_told ATTACH PARTITION public.reading_later_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reading_pkey ATTACH PARTITION public.reading_later_pkey;
ALTER INDEX public.reception_told ATTACH PARTITION public.reception_2015_2019_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reception_pkey ATTACH PARTITION public.reception_2015_2019_pkey;
ALTER INDEX public.reception_told ATTACH PARTITION public.reception_2020_2024_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reception_pkey ATTACH PARTITION public.reception_2020_2024_pkey;
ALTER INDEX public.reception_told ATTACH PARTITION public.reception_2025_01_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reception_pkey ATTACH PARTITION public.reception_2025_01_pkey;
ALTER INDEX public.reception_told ATTACH PARTITION public.reception_2025_02_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reception_pkey ATTACH PARTITION public.reception_2025_02_pkey;
ALTER INDEX public.reception_told ATTACH PARTITION public.reception_2025_03_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reception_pkey ATTACH PARTITION public.reception_2025_03_pkey;
ALTER INDEX public.reception_told ATTACH PARTITION public.reception_2025_04_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reception_pkey ATTACH PARTITION public.reception_2025_04_pkey;
ALTER INDEX public.reception_told ATTACH PARTITION public.reception_2025_05_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reception_pkey ATTACH PARTITION public.reception_2025_05_pkey;
ALTER INDEX public.reception_told ATTACH PARTITION public.reception_2025_06_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reception_pkey ATTACH PARTITION public.reception_2025_06_pkey;
ALTER INDEX public.reception_told ATTACH PARTITION public.reception_2025_07_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reception_pkey ATTACH PARTITION public.reception_2025_07_pkey;
ALTER INDEX public.reception_told ATTACH PARTITION public.reception_2025_08_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reception_pkey ATTACH PARTITION public.reception_2025_08_pkey;
ALTER INDEX public.reception_told ATTACH PARTITION public.reception_2025_09_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reception_pkey ATTACH PARTITION public.reception_2025_09_pkey;
ALTER INDEX public.reception_told ATTACH PARTITION public.reception_2025_10_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reception_pkey ATTACH PARTITION public.reception_2025_10_pkey;
ALTER INDEX public.reception_told ATTACH PARTITION public.reception_2025_11_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reception_pkey ATTACH PARTITION public.reception_2025_11_pkey;
ALTER INDEX public.reception_told ATTACH PARTITION public.reception_2025_12_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reception_pkey ATTACH PARTITION public.reception_2025_12_pkey;
ALTER INDEX public.reception_told ATTACH PARTITION public.reception_2026_01_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reception_pkey ATTACH PARTITION public.reception_2026_01_pkey;
ALTER INDEX public.reception_told ATTACH PARTITION public.reception_2026_02_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reception_pkey ATTACH PARTITION public.reception_2026_02_pkey;
ALTER INDEX public.reception_told ATTACH PARTITION public.reception_2026_03_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reception_pkey ATTACH PARTITION public.reception_2026_03_pkey;
ALTER INDEX public.reception_told ATTACH PARTITION public.reception_2026_04_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reception_pkey ATTACH PARTITION public.reception_2026_04_pkey;
ALTER INDEX public.reception_told ATTACH PARTITION public.reception_2026_05_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reception_pkey ATTACH PARTITION public.reception_2026_05_pkey;
ALTER INDEX public.reception_told ATTACH PARTITION public.reception_2026_06_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reception_pkey ATTACH PARTITION public.reception_2026_06_pkey;
ALTER INDEX public.reception_told ATTACH PARTITION public.reception_before_2015_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reception_pkey ATTACH PARTITION public.reception_before_2015_pkey;
ALTER INDEX public.reception_told ATTACH PARTITION public.reception_later_appliance_id_boot_id_ms_idx;
ALTER INDEX public.reception_pkey ATTACH PARTITION public.reception_later_pkey;
ALTER TABLE ONLY public.appliance_key
    ADD CONSTRAINT appliance_key_appliance_id_known FOREIGN KEY (appliance_id) REFERENCES public.appliance(appliance_id);
ALTER TABLE ONLY public.assignment
    ADD CONSTRAINT assignment_appliance_id_known FOREIGN KEY (appliance_id) REFERENCES public.appliance(appliance_id);
ALTER TABLE ONLY public.assignment_list
    ADD CONSTRAINT assignment_list_appliance_id_known FOREIGN KEY (appliance_id) REFERENCES public.appliance(appliance_id);
ALTER TABLE ONLY public.batch
    ADD CONSTRAINT batch_appliance_id_known FOREIGN KEY (appliance_id) REFERENCES public.appliance(appliance_id);
ALTER TABLE ONLY public.boot
    ADD CONSTRAINT boot_appliance_id_known FOREIGN KEY (appliance_id) REFERENCES public.appliance(appliance_id);
ALTER TABLE ONLY public.chain
    ADD CONSTRAINT chain_appliance_id_known FOREIGN KEY (appliance_id) REFERENCES public.appliance(appliance_id);
ALTER TABLE ONLY public.given_up
    ADD CONSTRAINT given_up_appliance_id_known FOREIGN KEY (appliance_id) REFERENCES public.appliance(appliance_id);
ALTER TABLE public.reading
    ADD CONSTRAINT reading_meter_id_known FOREIGN KEY (meter_id) REFERENCES public.meter(meter_id);
ALTER TABLE public.reception
    ADD CONSTRAINT reception_meter_id_known FOREIGN KEY (meter_id) REFERENCES public.meter(meter_id);
ALTER TABLE ONLY public.waiting_batch
    ADD CONSTRAINT waiting_batch_appliance_id_known FOREIGN KEY (appliance_id) REFERENCES public.appliance(appliance_id);
