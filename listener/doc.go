// Package listener holds one PostgreSQL session that LISTENs on any number of channels, for any number of subscribers
// in the same process.
//
//	subscribe ──► wanted channels ──┐
//	                                ▼
//	connect ──► LISTEN on all ──► probe ──► deliver to each subscription's buffer
//	   ▲                            │
//	   └── back off ◄── session lost, or probe failed
//
// # What it guarantees
//
//   - A NOTIFY that commits after Established is closed is delivered, while the session lives and the subscription's
//     buffer has room. Messages of one channel arrive in the order in which their transactions committed, and each as
//     often as it was sent: PostgreSQL itself folds equal payloads on one channel within one transaction.
//   - Whatever may have been lost is announced: Missed receives after each reconnect, once LISTEN is in force again on
//     every channel, and when the subscription's own buffer overflowed. A consumer that re-reads its durable source
//     upon each value of Missed, and once after Established, overlooks nothing.
//   - Two subscriptions to one channel cost one LISTEN, and closing the last one costs one UNLISTEN. Both take effect
//     at once: the session is written to while it is read from. Changes that come together share one round trip.
//   - Delivery never blocks. A slow subscriber loses its own messages and delays neither the session nor the others.
//   - A session with subscriptions that no longer delivers is replaced within twice Options.ProbeInterval, ten seconds
//     by default: a half-open socket, a route that swallows packets, a backend that answers and does not deliver, a
//     session that a pooler exchanged or reset. For that a NOTIFY to a private channel has to come back, and
//     pg_listening_channels has to agree. Behind a stream of other notifications it may take up to eleven times as
//     long; while the server takes no NOTIFY from any session, which is logged, only the answer is proof.
//   - A hot standby and a pooler that shares sessions are named, with the remedy.
//
// # What it does not guarantee
//
//   - Delivery. NOTIFY is at most once: what is sent while the session is down is gone, and Missed says only that some
//     of it may be. Nothing is kept for a subscription before it is established.
//   - That messages of different channels keep their order for a consumer that reads several subscriptions.
//   - That a pooler is recognized which shares sessions and yet passes the server's own process id through. PgBouncer
//     does not.
//
// # What it costs
//
// One session. While there are subscriptions, each probe is one transaction, which takes a transaction id and writes
// nothing that is waited for; while there are none, nothing at all.
//
// # Concurrency
//
// Run's goroutine connects, sends statements, probes and logs. A second one, which belongs to the session, receives and
// delivers; it ends with the session, before Run goes on. Subscribe, Close, Rename and Stats may be called from any
// goroutine. One lock, registry.mu, guards the registry of subscriptions; every send to and every close of their
// channels happens under it, so that no message meets a closed channel. It is never held over I/O, a callback or a line
// of the log.
package listener
