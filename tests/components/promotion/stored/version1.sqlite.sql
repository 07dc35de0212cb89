CREATE TABLE detent_journal (
	sequence INTEGER NOT NULL,
	kind TEXT NOT NULL,
	workload TEXT NOT NULL,
	catalog TEXT NOT NULL,
	actor TEXT NOT NULL,
	time TEXT NOT NULL,
	reason TEXT NOT NULL,
	proposal INTEGER,
	generation INTEGER,
	from_model TEXT,
	to_model TEXT,
	decision TEXT,
	details TEXT NOT NULL,
	previous TEXT NOT NULL,
	signed_by TEXT,
	digest TEXT NOT NULL,
	signature TEXT,
	PRIMARY KEY (sequence),
	UNIQUE (workload, catalog, generation)
)
;;
CREATE INDEX detent_journal_proposal ON detent_journal (proposal)
;;
CREATE INDEX detent_journal_kind ON detent_journal (kind, sequence)
;;
CREATE TABLE detent_journal_schema (
	version INTEGER NOT NULL
)
;;
CREATE TRIGGER detent_journal_no_update BEFORE update ON detent_journal BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END
;;
CREATE TRIGGER detent_journal_no_delete BEFORE delete ON detent_journal BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END
