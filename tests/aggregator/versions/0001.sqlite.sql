BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE appliance (
	appliance_id INTEGER NOT NULL, 
	identity TEXT NOT NULL, 
	name TEXT NOT NULL, 
	version TEXT NOT NULL, 
	claim TEXT NOT NULL, 
	state TEXT NOT NULL, 
	enrolled_utc_ms BIGINT NOT NULL, 
	approved_utc_ms BIGINT, 
	revoked_utc_ms BIGINT, 
	CONSTRAINT appliance_pkey PRIMARY KEY (appliance_id), 
	CONSTRAINT appliance_identity_unique UNIQUE (identity)
);
INSERT INTO "appliance" VALUES(1,'ce06685804a0917a1c8b72038e768ee1','street 1','0.1.0','a43ad87883fc3491f3de9f864f3f1fc23150ce08333f4a3b8cf158c01298a05a','approved',1774001000000,1774001000000,NULL);
CREATE TABLE appliance_key (
	number INTEGER NOT NULL, 
	appliance_id BIGINT NOT NULL, 
	epoch BIGINT NOT NULL, 
	key_id TEXT NOT NULL, 
	public_key BLOB NOT NULL, 
	statement BLOB NOT NULL, 
	added_utc_ms BIGINT NOT NULL, 
	revoked_utc_ms BIGINT, 
	CONSTRAINT appliance_key_pkey PRIMARY KEY (number), 
	CONSTRAINT appliance_key_appliance_id_unique UNIQUE (appliance_id, epoch), 
	CONSTRAINT appliance_key_appliance_id_known FOREIGN KEY(appliance_id) REFERENCES appliance (appliance_id), 
	CONSTRAINT appliance_key_key_id_unique UNIQUE (key_id)
);
INSERT INTO "appliance_key" VALUES(1,1,1,'ce06685804a0917a1c8b72038e768ee1e5103c2b41e006de7dfe9e88e75a74ee',X'CD03FBDDCAAA2703C251656D5CCDD99F5635B1E0653C0636B951A3A3DB21DAD4',X'7B227061796C6F6164223A2265794A686348427361574675593255694F694169593255774E6A59344E5467774E4745774F5445335954466A4F4749334D6A417A4F4755334E6A686C5A5445694C4341696348566962476C6A5832746C6553493649434A36555641334D324E786355703355454E5656315A305745307A576D34785754467A5A554A735545465A4D6E5657523270764F584E6F4D6E52525053497349434A755957316C496A6F67496E4E30636D566C6443417849697767496E5A6C636E4E70623234694F6941694D4334784C6A41694C43416959327868615730694F6941695954517A595751344E7A67344D325A6A4D7A51354D57597A5A4755355A6A67324E47597A5A6A466D597A497A4D545577593255774F444D7A4D32593059544E694F474E6D4D545534597A41784D6A6B34595441315953497349434A306232746C626949364943496966513D3D222C227061796C6F616454797065223A226170706C69636174696F6E2F766E642E6D657465722D6170706C69616E63652E656E726F6C6D656E742E76312B6A736F6E222C227369676E617475726573223A5B7B226B65796964223A2263653036363835383034613039313761316338623732303338653736386565316535313033633262343165303036646537646665396538386537356137346565222C22736967223A223677642F424F4558535269747A6E755258533953576F5A694B634C706F66715446384E4A50794A6C5551704574637769564D5759677279495664385148356E56564E4D6434587433454B57534B76754876734A4A44773D3D227D5D7D',1774001000000,NULL);
CREATE TABLE batch (
	appliance_id BIGINT NOT NULL, 
	epoch BIGINT NOT NULL, 
	sequence BIGINT NOT NULL, 
	sha256 TEXT NOT NULL, 
	previous TEXT NOT NULL, 
	received_utc_ms BIGINT NOT NULL, 
	stored_utc_ms BIGINT NOT NULL, 
	sealed_utc_ms BIGINT NOT NULL, 
	simulated BOOLEAN NOT NULL, 
	assignments BIGINT NOT NULL, 
	payload_bytes BIGINT NOT NULL, 
	readings BIGINT NOT NULL, 
	receptions BIGINT NOT NULL, 
	events BIGINT NOT NULL, 
	told_again BIGINT NOT NULL, 
	CONSTRAINT batch_pkey PRIMARY KEY (appliance_id, epoch, sequence), 
	CONSTRAINT batch_appliance_id_unique UNIQUE (appliance_id, sha256), 
	CONSTRAINT batch_appliance_id_known FOREIGN KEY(appliance_id) REFERENCES appliance (appliance_id)
);
INSERT INTO "batch" VALUES(1,1,1,'626b77c73653a247f395711e8eb421ed2339634175bf62b1609cddcc86d2d342','',1774001000000,1774001000000,1774000900501,0,0,572,3,2,1,0);
CREATE TABLE boot (
	appliance_id BIGINT NOT NULL, 
	boot_id BIGINT NOT NULL, 
	number BIGINT NOT NULL, 
	kernel_id TEXT NOT NULL, 
	reading_ms BIGINT NOT NULL, 
	reception_ms BIGINT NOT NULL, 
	event_ms BIGINT NOT NULL, 
	first_at BIGINT NOT NULL, 
	last_at BIGINT NOT NULL, 
	epoch BIGINT NOT NULL, 
	clock TEXT NOT NULL, 
	CONSTRAINT boot_pkey PRIMARY KEY (appliance_id, boot_id), 
	CONSTRAINT boot_appliance_id_unique UNIQUE (appliance_id, number, kernel_id), 
	CONSTRAINT boot_appliance_id_known FOREIGN KEY(appliance_id) REFERENCES appliance (appliance_id)
);
INSERT INTO "boot" VALUES(1,1,3,'boot three',301000,0,301000,1774000000000,1774000301000,1,'[[0,1774000000000,250,"ntp"],[900000,1774000900001,250,"ntp"]]');
CREATE TABLE chain (
	appliance_id BIGINT NOT NULL, 
	epoch BIGINT NOT NULL, 
	sequence BIGINT NOT NULL, 
	sha256 TEXT NOT NULL, 
	CONSTRAINT chain_pkey PRIMARY KEY (appliance_id, epoch), 
	CONSTRAINT chain_appliance_id_known FOREIGN KEY(appliance_id) REFERENCES appliance (appliance_id)
);
INSERT INTO "chain" VALUES(1,1,1,'626b77c73653a247f395711e8eb421ed2339634175bf62b1609cddcc86d2d342');
CREATE TABLE enrolment_token (
	token_sha256 TEXT NOT NULL, 
	made_utc_ms BIGINT NOT NULL, 
	expires_utc_ms BIGINT NOT NULL, 
	used_utc_ms BIGINT, 
	used_by TEXT, 
	CONSTRAINT enrolment_token_pkey PRIMARY KEY (token_sha256)
);
CREATE TABLE event (
	meter_id BIGINT NOT NULL, 
	at BIGINT NOT NULL, 
	uncertainty_ms BIGINT, 
	source TEXT NOT NULL, 
	appliance_id BIGINT NOT NULL, 
	boot_id BIGINT NOT NULL, 
	ms BIGINT NOT NULL, 
	number BIGINT NOT NULL, 
	kind TEXT NOT NULL, 
	detail TEXT NOT NULL, 
	CONSTRAINT event_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms, number)
)
 WITHOUT ROWID

;
INSERT INTO "event" VALUES(1,1774000301000,250,'ntp',1,1,301000,5,'tamper','{"phy": [0, 1], "enc": [3, 3]}');
CREATE TABLE given_up (
	appliance_id BIGINT NOT NULL, 
	epoch BIGINT NOT NULL, 
	first_sequence BIGINT NOT NULL, 
	last_sequence BIGINT NOT NULL, 
	given_up_utc_ms BIGINT NOT NULL, 
	CONSTRAINT given_up_pkey PRIMARY KEY (appliance_id, epoch, first_sequence), 
	CONSTRAINT given_up_appliance_id_known FOREIGN KEY(appliance_id) REFERENCES appliance (appliance_id)
);
CREATE TABLE meter (
	meter_id INTEGER NOT NULL, 
	endpoint_id BIGINT NOT NULL, 
	protocol TEXT NOT NULL, 
	simulated BOOLEAN NOT NULL, 
	endpoint_type BIGINT NOT NULL, 
	commodity TEXT NOT NULL, 
	CONSTRAINT meter_pkey PRIMARY KEY (meter_id), 
	CONSTRAINT meter_endpoint_id_unique UNIQUE (endpoint_id, protocol, simulated)
);
INSERT INTO "meter" VALUES(1,17000001,'scm',0,7,'electric');
INSERT INTO "meter" VALUES(2,70000002,'scm+',0,12,'gas');
CREATE TABLE reading (
	meter_id BIGINT NOT NULL, 
	at BIGINT NOT NULL, 
	uncertainty_ms BIGINT, 
	source TEXT NOT NULL, 
	appliance_id BIGINT NOT NULL, 
	boot_id BIGINT NOT NULL, 
	ms BIGINT NOT NULL, 
	consumption BIGINT NOT NULL, 
	tamper_phy INTEGER, 
	tamper_enc INTEGER, 
	flags SMALLINT NOT NULL, 
	CONSTRAINT reading_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms), 
	CONSTRAINT reading_meter_id_known FOREIGN KEY(meter_id) REFERENCES meter (meter_id)
)
 WITHOUT ROWID

;
INSERT INTO "reading" VALUES(1,1774000001000,250,'ntp',1,1,1000,31160,0,3,0);
INSERT INTO "reading" VALUES(1,1774000301000,250,'ntp',1,1,301000,31163,0,3,0);
INSERT INTO "reading" VALUES(2,1774000002500,250,'ntp',1,1,2500,7,NULL,NULL,1);
CREATE TABLE reception (
	meter_id BIGINT NOT NULL, 
	at BIGINT NOT NULL, 
	uncertainty_ms BIGINT, 
	source TEXT NOT NULL, 
	appliance_id BIGINT NOT NULL, 
	boot_id BIGINT NOT NULL, 
	ms BIGINT NOT NULL, 
	last_ms BIGINT NOT NULL, 
	count BIGINT NOT NULL, 
	corrected BIGINT NOT NULL, 
	levels BIGINT NOT NULL, 
	snr_sum_cdb BIGINT NOT NULL, 
	snr_best_cdb BIGINT, 
	frequency_min_hz BIGINT, 
	frequency_max_hz BIGINT, 
	CONSTRAINT reception_pkey PRIMARY KEY (meter_id, at, appliance_id, boot_id, ms), 
	CONSTRAINT reception_meter_id_known FOREIGN KEY(meter_id) REFERENCES meter (meter_id)
)
 WITHOUT ROWID

;
INSERT INTO "reception" VALUES(1,1774000000000,250,'ntp',1,1,0,889000,29,2,29,40623,1875,909586000,921000000);
INSERT INTO "reception" VALUES(2,1774000000000,250,'ntp',1,1,0,2500,1,0,0,0,NULL,NULL,NULL);
CREATE TABLE refusal (
	number INTEGER NOT NULL, 
	appliance_id BIGINT NOT NULL, 
	received_utc_ms BIGINT NOT NULL, 
	reason TEXT NOT NULL, 
	words TEXT NOT NULL, 
	line_bytes BIGINT NOT NULL, 
	evidence BLOB NOT NULL, 
	CONSTRAINT refusal_pkey PRIMARY KEY (number)
);
CREATE TABLE refusal_count (
	appliance_id BIGINT NOT NULL, 
	reason TEXT NOT NULL, 
	count BIGINT NOT NULL, 
	first_utc_ms BIGINT NOT NULL, 
	last_utc_ms BIGINT NOT NULL, 
	CONSTRAINT refusal_count_pkey PRIMARY KEY (appliance_id, reason)
);
CREATE TABLE waiting_batch (
	appliance_id BIGINT NOT NULL, 
	epoch BIGINT NOT NULL, 
	sequence BIGINT NOT NULL, 
	sha256 TEXT NOT NULL, 
	previous TEXT NOT NULL, 
	received_utc_ms BIGINT NOT NULL, 
	line BLOB NOT NULL, 
	line_bytes BIGINT NOT NULL, 
	CONSTRAINT waiting_batch_pkey PRIMARY KEY (appliance_id, epoch, sequence), 
	CONSTRAINT waiting_batch_appliance_id_known FOREIGN KEY(appliance_id) REFERENCES appliance (appliance_id)
);
CREATE INDEX event_told ON event (appliance_id, boot_id, ms);
CREATE INDEX refusal_of ON refusal (appliance_id, number);
CREATE INDEX reading_told ON reading (appliance_id, boot_id, ms);
CREATE INDEX reception_told ON reception (appliance_id, boot_id, ms);
COMMIT;
