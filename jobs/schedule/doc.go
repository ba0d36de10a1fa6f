// Package schedule reads cron expressions, and says at which times they fire: in a time zone, over its changes to and
// from daylight saving time. It is pure: it reads no clock, and every process finds the same times.
//
// # What it guarantees
//
//   - What Parse accepts fires, at the latest after eight years and some days. What would never fire is refused, and an
//     Error names the place and what would be right there.
//   - Where the clocks are put forward, the times that they skip are replaced by the first instant after them. Where
//     they are put back, a time that they show twice counts once, the first time. A schedule whose hours are a wildcard
//     follows the clock as it shows.
//   - The times of @every are the multiples of its duration since 1970, whichever instant they are asked for.
//   - String is the same for expressions that mean the same.
//
// # What it does not guarantee
//
//   - That the rules of a time zone stay as they are: two processes agree as far as their time zone databases do.
package schedule
