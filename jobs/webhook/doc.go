// Package webhook sends an HTTP request for an event or a tick.
//
// # What the receiver gets
//
// The event's payload is the body; for a tick the body is empty. Content-Type is application/json where the body is
// valid JSON, and application/octet-stream otherwise. These headers carry the rest:
//
//   - Idempotency-Key, the same for every attempt; absent for a plain NOTIFY, which is attempted once
//   - Pgsolo-Name, Pgsolo-Attempt, Pgsolo-Term
//   - one for each fact: Pgsolo-Event-Id, Pgsolo-Topic, Pgsolo-Channel, Pgsolo-Key, Pgsolo-Created-At for an event;
//     Pgsolo-Scheduled-At, Pgsolo-Catch-Up, Pgsolo-Manual for a tick. Pgsolo-Scheduled-At is RFC 3339 in the time zone
//     of the job, with a fraction only where a run was triggered; Pgsolo-Catch-Up (a missed tick is made up for) and
//     Pgsolo-Manual (it was triggered) are true or false.
//   - Pgsolo-Header-<name> for each header of the event. Where two names differ only in case, the first in byte order
//     is sent.
//   - User-Agent: pgsolo
//   - Request.Headers, each of which replaces a header above of the same name
//
// Values of the first four kinds come from data. In them each byte that is not visible ASCII, and each space and
// percent sign, is percent-encoded, so that no producer can add a header and no byte is lost. In the names of event
// headers the same is done to each byte that a header name cannot have. A receiver decodes them as it decodes a path of
// a URL.
//
// # Signature
//
// With a Secret the request is signed by the scheme of Standard Webhooks (https://www.standardwebhooks.com), symmetric
// form:
//
//	webhook-id: <id>                  the idempotency key, percent-encoded as above, and each full stop too
//	webhook-timestamp: <seconds>      of this attempt, since 1970
//	webhook-signature: v1,<base64 of HMAC-SHA256 of "<id>.<seconds>.<body>">
//
// A plain NOTIFY gets a random id. A secret of the form whsec_<base64> stands for the 24 to 64 bytes that it encodes;
// any other secret is the key as it stands. The signature covers the body, the id and the time, and no other header.
//
// # What is guaranteed
//
//   - An attempt sends the request once, if its method is not GET, except where a connection that was used before
//     breaks without a byte of an answer: then it sends the request once more on a new one, with the same idempotency
//     key. A receiver that closes the connections which it has kept makes no attempt fail. That holds for HTTP/2, and
//     for a Client whose Transport is an *http.Transport.
//   - A 2xx status is success, and everything else is an error that has the status and the first 2 KiB of the response.
//   - For a tick the report gets the status, whatever it is, and the first 64 KiB of the response, which end with "…"
//     if there was more. The URL, a header and the secret are not in it. A request that got no response leaves nothing.
//   - After a status of 429 or 503 with a Retry-After header, in seconds or as a date, the next attempt waits for so
//     long, but for an hour at most.
//   - A redirect is not followed, so that neither the headers nor the signature go to another host. It is an error that
//     says where it points, without user, query and fragment.
//   - An error names the scheme and host of the URL and no more of it: user, path and query often hold a token. It has
//     no header and no secret that was sent. What the receiver writes into its response is quoted, though, and kept in
//     the history.
//   - No more than 1 MiB of a response is read, and no longer than a second after its headers. Within that the
//     connection is kept for the next request.
//   - Send joins what it started. It has no timeout of its own but ends with the context.
//
// # What is not guaranteed
//
//   - The receiver may get the same request more than once: after an error or a crash by a new attempt, and within one
//     attempt when a kept connection breaks. The idempotency key is the same.
//   - A 2xx status says only that the receiver answered so.
//   - Which hosts may be reached is not restricted: do not build the URL's host from data that you do not trust, nor
//     its path without encoding it. config.hcl refuses the one and does the other.
//   - Many servers refuse more than 8 KiB of headers, and some drop names with an underscore. An event with such
//     headers then fails, or arrives without them.
package webhook
