// This file stands in jobs, in election and in listener alike, which must not import one another: a test of cmd/pgsolo
// compares them.

package settings

// StatementSettings are in force on every session, that of the user's statements included, whatever the role, the
// database or the connection URL says: what would end the session or change what a transaction is.
//
// They are one message after the start, because a pooler refuses other parameters of the start than client_encoding
// and application_name. What could end the session comes first. transaction_timeout is a setting of PostgreSQL 17 and
// newer.
const StatementSettings = `set statement_timeout = 0;
	select pg_catalog.set_config('transaction_timeout', '0', false)
		where pg_catalog.current_setting('transaction_timeout', true) is not null;
	set idle_session_timeout = 0; set idle_in_transaction_session_timeout = 0; set exit_on_error = off;
	set default_transaction_read_only = off; set default_transaction_isolation = 'read committed';
	set default_transaction_deferrable = off; set standard_conforming_strings = on; set client_encoding = 'UTF8';
	set statement_timeout to default; `

// OwnSettings are those of sessions that run pgsolo's own statements. In no schema but pg_catalog is a function, an
// operator or a table looked for that they do not qualify. With row security, rows that a policy hides would count as
// handled, or as not there: the server is to refuse the statement instead. They are short, so that compiling one is
// never worth it, and have bounds of their own. What they sort fits into the memory that is usual, so that a
// temp_file_limit ends none of them; more than that is left as it is.
//
// Left alone is what only changes how values are written as text (DateStyle, TimeZone, bytea_output and their like:
// values travel in binary), where tables are kept, how durable a commit is and how a statement is planned.
const OwnSettings = StatementSettings + `set search_path = pg_catalog, pg_temp; set row_security = off; set jit = off;
	set statement_timeout = 0; set lock_timeout = 0;
	select pg_catalog.set_config('work_mem', '4MB', false)
		where pg_catalog.pg_size_bytes(pg_catalog.current_setting('work_mem')) < 4194304; `
