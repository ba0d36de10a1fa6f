package group

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// The engines that declare a configuration.
const (
	EventLog = "eventlog"
	Cron     = "cron"
)

// Declared is what an engine of a leader has, encoded once for all its leaderships. Where the leader before had the
// same, the fingerprint is all that is sent and compared, however many jobs there are.
type Declared struct {
	engine, fingerprint string
	text                []byte
}

// Encode takes Events or Jobs.
func Encode(engine string, body any) Declared {
	text, _ := json.Marshal(body) // strings and numbers, in the order of their names
	sum := sha256.Sum256(text)
	return Declared{engine: engine, fingerprint: hex.EncodeToString(sum[:8]), text: text}
}

const declareConfiguration = `select known, previous from pgsolo.declare_configuration($1, $2, $3, $4, $5, $6)`

// Declare writes down what an engine of the leader of this term has, marks what it lacks, and retires what has been
// lacked for longer than the grace. Where the leader before has declared something else, differs is true, and previous
// gets that. An error is pg.ErrFenced where a newer leader has entered.
func (g Group) Declare(ctx context.Context, term int64, d Declared, previous any) (differs bool, err error) {
	var (
		known  bool
		before []byte
		text   []byte // only where the fingerprint is not known
	)
	for !known && err == nil {
		err = g.DB.QueryRow(ctx, declareConfiguration, g.Name, term, g.Grace().Microseconds(), d.engine, d.fingerprint,
			text).Scan(&known, &before)
		text = d.text
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return false, fmt.Errorf("declare the configuration: %w", pg.ErrFenced)
	}
	if err != nil || before == nil {
		return false, err
	}
	return true, json.Unmarshal(before, previous)
}

const selectDeclared = `select body from pgsolo.configuration where "group" = $1 and engine = $2 and term = $3`

// Declared reads what the leader of a term has declared. known is false where it has not yet, is of the version before,
// or this role may not ask.
func (g Group) Declared(ctx context.Context, term int64, engine string, into any) (known bool, err error) {
	var body []byte
	err = g.DB.QueryRow(ctx, selectDeclared, g.Name, engine, term).Scan(&body)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("read what the leader has declared: %w", err)
	}
	return true, json.Unmarshal(body, into)
}
