// Package pg is what the packages of jobs share at the database: statements placed in a schema, steps that are tried
// until they succeed, SQLSTATEs, and values that may be null.
//
// All statements are written for DefaultSchema, so that they can be read, searched and tried as they stand.
package pg
