// Package listener holds one PostgreSQL session that LISTENs on any number of channels, for any number of subscribers in
// the same process.
//
//	subscribe ──► wanted channels ──┐
//	                                ▼
//	connect ──► LISTEN on all ──► wait ──► deliver to each subscription's buffer
//	   ▲                            │
//	   └── back off ◄── session lost┘
//
// # What it guarantees
//
//   - A NOTIFY that commits after Established is closed is delivered, while the session lives and the subscription's buffer
//     has room. Messages of one channel arrive in the order in which their transactions committed, and each as often as it
//     was sent: PostgreSQL itself folds equal payloads on one channel within one transaction.
//   - Whatever may have been lost is announced: Missed receives after each reconnect, once LISTEN is in force again on every
//     channel, and when the subscription's own buffer overflowed. A consumer that re-reads its durable source upon each
//     value of Missed, and once after Established, overlooks nothing.
//   - Two subscriptions to one channel cost one LISTEN, and closing the last one costs one UNLISTEN. Both take effect at once,
//     while the session waits: the wait is interrupted. Changes that gather meanwhile share one round trip.
//   - Delivery never blocks. A slow subscriber loses its own messages and delays neither the session nor its neighbours.
//   - A session that somebody listens on and that no longer answers, such as one behind a half-open socket, is given up within
//     ten seconds: every five
//     seconds without a round trip it is asked for one, and each statement has five seconds to come back.
//
// # What it does not guarantee
//
//   - Delivery. NOTIFY is at most once: what is sent while the session is down is gone, and Missed says only that
//     something may be. Nothing is kept for a subscription before it is established.
//   - That messages of different channels keep their order for a consumer that reads several subscriptions.
//   - That a backend which answers also delivers. A pooler in transaction mode answers and does not, so Options.Config must
//     lead to PostgreSQL directly.
//
// # Concurrency
//
// Run owns the connection and is the only one to use it. Subscribe, Close and Stats may be called from any goroutine. One
// lock, Listener.mu, guards the registry of subscriptions; every send to and every close of their channels happens under
// it, so that no message meets a closed channel. It is never held over I/O, a callback or a line of the log.
package listener
