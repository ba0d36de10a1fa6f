// Package txsession lends sessions of the runner's pool to the transactions of its handlers, clean when they change
// hands.
//
// A statement of the user may leave anything in its session: settings, a role, temporary tables, prepared statements,
// locks, channels. What one handler leaves there must reach no other handler and none of pgsolo's own statements. To
// ask the server what was left costs about as much as to clean, and to clean after each transaction nearly doubles a
// short one. So a session stays its handler's for as long as that keeps it busy:
//
//   - It goes back to the pool, where pgsolo's own statements run, only when it has been idle for a second, and is
//     cleaned before: apart from any event.
//   - Another handler gets it only while the pool gives no more, and it is cleaned before. Where handlers take turns
//     on fewer sessions than they have workers, a turn is of many short transactions, so that cleaning costs a few
//     percent.
//   - One that cannot be cleaned is closed.
//
// Meanwhile one transaction of a handler may find what an earlier one has left. The statements that pgsolo itself runs
// in these transactions bear that: the beginning and the write of progress name what they depend on.
package txsession
