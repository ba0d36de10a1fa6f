package group

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// DefaultForgetAfter is the grace where Options do not say one.
const DefaultForgetAfter = 24 * time.Hour

// Group is a group in one schema.
type Group struct {
	DB          pg.DB
	Name        string
	ForgetAfter time.Duration // the grace, as Options have it: 0 is the default one, and less is none
}

// Grace is how long a group has to be led without a name until that is retired.
func (g Group) Grace() time.Duration {
	if g.ForgetAfter == 0 {
		return DefaultForgetAfter
	}
	return max(0, g.ForgetAfter)
}

// The engines that declare a configuration.
const (
	EventLog = "eventlog"
	Cron     = "cron"
)

const declareConfiguration = `select previous from pgsolo.declare_configuration($1, $2, $3, $4, $5, $6)`

// Declare writes down what an engine of the leader of this term has, marks what it lacks, and retires what has been
// lacked for longer than the grace. previous gets what the leader before has declared; found is false where none has.
// An error is pg.ErrFenced where a newer leader has entered.
func (g Group) Declare(ctx context.Context, term int64, engine string, body, previous any) (found bool, err error) {
	text, err := json.Marshal(body)
	if err != nil {
		return false, err
	}
	var before []byte
	grace := g.Grace().Microseconds()
	err = g.DB.QueryRow(ctx, declareConfiguration, g.Name, term, grace, engine, Fingerprint(text), text).Scan(&before)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, fmt.Errorf("declare the configuration: %w", pg.ErrFenced)
	}
	if err != nil || before == nil {
		return false, err
	}
	return true, json.Unmarshal(before, previous)
}

// Fingerprint tells texts apart.
func Fingerprint(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

const selectOwner = `select pgsolo.is_led($1),
	coalesce((select left_term = term from pgsolo.jobs_group where "group" = $1), false)`

// Owner is what is known of the leader of another group.
type Owner struct {
	Lives bool // its lock is held
	Left  bool // the latest one has stopped as planned
}

// Owner asks for the leader of another group.
func (g Group) Owner(ctx context.Context, other string) (o Owner, err error) {
	err = g.DB.QueryRow(ctx, selectOwner, other).Scan(&o.Lives, &o.Left)
	if err != nil {
		return o, fmt.Errorf("ask whether election %q is led: %w", other, err)
	}
	return o, nil
}
