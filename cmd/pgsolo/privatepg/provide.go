package privatepg

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
)

// remedy ends every error that says that there are no programs to run.
const remedy = "install PostgreSQL (Debian, Ubuntu: apt-get install postgresql; Alpine: apk add postgresql; " +
	"macOS: brew install postgresql@17) or set PGSOLO_PG_BIN to a folder that holds postgres and initdb"

// provide finds the programs on this machine, or else among those downloaded before, or else downloads them. A major
// other than 0 asks for that version alone, because a data folder is of one version.
func provide(ctx context.Context, finder finder, opts Options) (programs, error) {
	found, err := finder.find(ctx)
	if !errors.Is(err, errNoPrograms) {
		return found, err
	}
	folder, downloadErr := download(ctx, finder.account, finder.major, opts)
	if downloadErr != nil {
		return programs{}, fmt.Errorf("%w, and no download: %w; %s", err, downloadErr, remedy)
	}
	found, err = finder.check(ctx, filepath.Join(folder, "bin"))
	if err != nil {
		return programs{}, fmt.Errorf("use downloaded PostgreSQL in %s: %w; %s", folder, err, remedy)
	}
	return found, nil
}
