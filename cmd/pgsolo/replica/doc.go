// Package replica is one replica: it connects election, listener and jobs as the configuration says, and serves HTTP.
// It knows neither the command line nor signals, so that a test can run several replicas in one process.
//
// Its elections have a session each, for the lock, and share the rest: a pool, a listener, and a session that says
// which of them it leads. A session of the pool bears the name of the leadership that it serves, so that the successor
// of one that was lost ends what that left behind, and nothing of the others. Where there are several, one that uses no
// session at the moment has that of its lock alone: if an administrator ends just this, its successor waits for
// nothing, and its programs are killed while that begins.
//
// Who stops whom: Run's context ends first the leadership (with its drain) and only then the HTTP server, so that
// probes are answered until the end. Within a leadership the LISTEN session outlives the handlers that it serves.
package replica
