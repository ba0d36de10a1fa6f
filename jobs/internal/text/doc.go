// Package text is about strings at the border between this process, PostgreSQL and the outer world: what a text column
// and a jsonb can hold, and what may stand in an error and in a log line.
//
// Nothing here removes secrets.
package text
