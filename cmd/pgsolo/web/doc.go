// Package web is what a replica serves over HTTP: health for an orchestrator, status for people and programs, metrics.
//
//	/livez      200 while the loops of the elections are alive; no database is asked: its outage restarts nothing
//	/readyz     200 for leader and standby, if the database answered within a lease and a poll; schema was checked
//	/leader     200 for the leader, else 503
//	/standby    200 for a standby, else 503
//	/v1/status  the same and more as JSON
//	/metrics    for Prometheus
//
// What a replica says of itself is as old as its last ping or poll. A replica that has just lost the leadership without
// noticing says for up to 0.6 of the lease that it leads.
package web
