package pg

// In a transaction of the log, the user's statements have the settings of the role, as UserSettingsInTx makes them.
// Around the write that ends it, OwnSettingsInTx are in force, and then those again that a deferred trigger of the
// user's, which fires at the commit, may depend on. What would end the session, and transaction_timeout with it, stays
// pgsolo's: the transaction may be that of many events.
const (
	UserSettingsInTx = `set local search_path to default; set local row_security to default; set local jit to default;
		set local statement_timeout to default; set local lock_timeout to default`

	OwnSettingsInTx = `select pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true),
		pg_catalog.set_config('row_security', 'off', true), pg_catalog.set_config('jit', 'off', true),
		pg_catalog.set_config('statement_timeout', '0', true), pg_catalog.set_config('lock_timeout', '0', true)`

	UserPathInTx        = `set local search_path to default`
	UserRowSecurityInTx = `set local row_security to default`
)
