package cursor

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

const selectOwner = `select owner, term, topic, declared, lives, left_as_planned from pgsolo.cursor_owner($1)`

// Owner says whose a cursor is.
type Owner struct {
	Group    string
	Term     int64
	Topic    string
	Declared bool // leaders of the group have the handler
	Lives    bool // one of them leads
	Left     bool // the latest one has stopped as planned
}

// OwnedError means that the cursor is another group's.
type OwnedError struct{ Owner }

func (e *OwnedError) Error() string {
	return fmt.Sprintf("election %q has a handler of this name", e.Group)
}

// Owner returns whose the cursor is; no group where there is none.
func (c Cursor) Owner(ctx context.Context) (o Owner, err error) {
	err = c.DB.QueryRow(ctx, selectOwner, c.Handler).Scan(&o.Group, &o.Term, &o.Topic, &o.Declared, &o.Lives, &o.Left)
	if errors.Is(err, pgx.ErrNoRows) {
		return Owner{}, nil
	}
	if err != nil {
		return Owner{}, fmt.Errorf("read whose the cursor of %q is: %w", c.Handler, err)
	}
	return o, nil
}

// errOtherTopic means that a claim was not a simple one.
var errOtherTopic = errors.New("the cursor is at another topic")

// refused is why a claim has changed nothing: the cursor is another group's, or at another topic, or a newer leader has
// it.
func (c Cursor) refused(ctx context.Context, group string) error {
	o, err := c.Owner(ctx)
	switch {
	case err != nil:
		return err
	case o.Group != group && o.Group != "":
		return &OwnedError{o}
	case o.Term <= c.Term && o.Topic != c.Topic:
		return errOtherTopic
	}
	return c.fenced()
}
