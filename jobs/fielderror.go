package jobs

import (
	"fmt"
	"strings"
)

// FieldError says which field of a struct is wrong, and why. Packages of actions and options wrap it with a prefix of
// their own.
type FieldError struct {
	Field   string // as Go writes it, nested or with an index: Retry.Backoff, Args[0]
	Problem string // the rest of the sentence: "is required"; or a colon and the error of the field

	cause error // what NewFieldError formatted; nil for a literal
}

// NewFieldError formats the problem of a field as fmt.Errorf does. What %w names stays reachable for errors.Is.
func NewFieldError(field, format string, args ...any) *FieldError {
	cause := fmt.Errorf(format, args...)
	return &FieldError{Field: field, Problem: cause.Error(), cause: cause}
}

func (e *FieldError) Error() string {
	if strings.HasPrefix(e.Problem, ":") {
		return e.Field + e.Problem
	}
	return e.Field + " " + e.Problem
}

func (e *FieldError) Unwrap() error { return e.cause }
