package direct

import (
	"errors"
	"testing"
)

func TestOldServersAreRefusedByName(t *testing.T) {
	for version, refused := range map[string]bool{
		"9.6.24": true, "10.23": true, "13.14 (Debian 13.14-1)": true,
		"14.0": false, "15.4 (Debian 15.4-1)": false, "18rc1": false, "19devel": false, "unknown": false,
	} {
		if err := checkVersion(version); (err != nil) != refused || refused && !errors.Is(err, ErrRefused) {
			t.Errorf("PostgreSQL %s: %v", version, err)
		}
	}
}
