package eventlog

import (
	"errors"
	"testing"

	"github.com/pgsolo/pgsolo/jobs"
)

func TestWrongNamesTheField(t *testing.T) {
	err := Handler{Name: "h", Topic: "t"}.WithDefaults().check()
	if wrong, ok := errors.AsType[*jobs.FieldError](err); !ok || wrong.Field != "Handle" {
		t.Errorf("error %v, want one of the field Handle", err)
	}
}
