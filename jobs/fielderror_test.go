package jobs

import (
	"errors"
	"io/fs"
	"testing"
)

func TestFieldError(t *testing.T) {
	for _, test := range []struct {
		err  *FieldError
		want string
	}{
		{&FieldError{Field: "Name", Problem: "is required"}, "Name is required"},
		{NewFieldError("Retry.Attempts", "%d is negative", -1), "Retry.Attempts -1 is negative"},
		{NewFieldError("Dir", ": %w", fs.ErrNotExist), "Dir: file does not exist"},
	} {
		if got := test.err.Error(); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
	if err := NewFieldError("Dir", ": %w", fs.ErrNotExist); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v hides its reason", err)
	}
	if err := errors.Unwrap(&FieldError{Field: "Name", Problem: "is required"}); err != nil {
		t.Errorf("an error without a reason wraps %v", err)
	}
}

func TestWrongNamesTheField(t *testing.T) {
	_, err := Handler{Name: "h", Topic: "t"}.withDefaults()
	if wrong, ok := errors.AsType[*FieldError](err); !ok || wrong.Field != "Handle" {
		t.Errorf("error %v, want one of the field Handle", err)
	}
}
