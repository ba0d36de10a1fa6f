// Package demo shows pgsolo at work: PostgreSQL and three replicas on this machine, events and a cron job every second,
// and the leader killed with kill -9 every few seconds.
//
// What it shows is not what the replicas say of themselves. Their handlers call a witness in the demo's own process,
// which counts what arrives and from which term. It proves that no event is lost, no tick is started twice or left out,
// and no leader works after its successor has begun, for the run that you watch. It proves nothing of partitions and
// frozen processes: no replica here is cut off.
package demo
