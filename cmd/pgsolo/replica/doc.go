// Package replica is one replica: it connects election, listener and jobs as the configuration says, and serves HTTP.
// It knows neither the command line nor signals, so that a test can run several replicas in one process.
//
// Who stops whom: Run's context ends first the leadership (with its drain) and only then the HTTP server, so that
// probes are answered until the end. Within a leadership the LISTEN session outlives the handlers that it serves.
package replica
