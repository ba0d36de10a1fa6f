package privatepg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The versions of PostgreSQL that pgsolo supports. 14 is the oldest with all the settings that a lease needs.
const (
	oldestMajor = 14
	newestMajor = 18
)

// programs is a folder that holds postgres and initdb of one version.
type programs struct {
	folder string
	major  int
}

// finder looks for the programs on this machine. Its fields say where, so that a test can have a machine of its own.
type finder struct {
	account account
	major   int    // the only version wanted; 0 for every supported one
	env     string // value of PGSOLO_PG_BIN
	path    string // value of PATH
	debian  string // pattern of the folders that hold one version each
	brew    []string
}

func newFinder(account account, major int) finder {
	return finder{
		account: account, major: major,
		env:    os.Getenv("PGSOLO_PG_BIN"),
		path:   os.Getenv("PATH"),
		debian: "/usr/lib/postgresql/*/bin",
		brew: []string{
			"/opt/homebrew/opt/postgresql@*/bin", "/opt/homebrew/opt/postgresql/bin",
			"/usr/local/opt/postgresql@*/bin", "/usr/local/opt/postgresql/bin",
			"/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin", "/home/linuxbrew/.linuxbrew/opt/postgresql/bin",
		},
	}
}

// errNoPrograms means that this machine has none that fit. Its text lists those that were looked at.
var errNoPrograms = errors.New("no usable PostgreSQL on this machine")

// find returns the first programs that fit. A folder that the user named is the only one looked at.
func (f finder) find(ctx context.Context) (programs, error) {
	if f.env != "" {
		found, err := f.check(ctx, f.env)
		if err != nil {
			return programs{}, fmt.Errorf("use PGSOLO_PG_BIN=%s: %w; set it to a folder that holds postgres and "+
				"initdb of version %s, or unset it", f.env, err, f.wanted())
		}
		return found, nil
	}
	var skipped []string
	for _, folder := range f.folders() {
		found, err := f.check(ctx, folder)
		if err == nil {
			return found, nil
		}
		if ctx.Err() != nil {
			return programs{}, context.Cause(ctx)
		}
		skipped = append(skipped, fmt.Sprintf("%s: %v", folder, err))
	}
	if len(skipped) == 0 {
		return programs{}, errNoPrograms
	}
	return programs{}, fmt.Errorf("%w (%s)", errNoPrograms, strings.Join(skipped, "; "))
}

// wanted says in words which versions fit.
func (f finder) wanted() string {
	if f.major != 0 {
		return strconv.Itoa(f.major)
	}
	return fmt.Sprintf("%d to %d", oldestMajor, newestMajor)
}

// folders lists the candidates, the preferred ones first. A folder that lacks one of the two programs is no candidate.
func (f finder) folders() []string {
	var candidates []string
	for _, folder := range filepath.SplitList(f.path) {
		if filepath.IsAbs(folder) { // a relative entry of PATH would depend on the working folder
			candidates = append(candidates, folder)
		}
	}
	candidates = append(candidates, newestFirst(f.debian)...)
	for _, pattern := range f.brew {
		candidates = append(candidates, newestFirst(pattern)...)
	}
	var folders []string
	for _, candidate := range candidates {
		folder, err := realFolder(candidate)
		if err == nil && !slices.Contains(folders, folder) {
			folders = append(folders, folder)
		}
	}
	return folders
}

// realFolder resolves links: PostgreSQL finds its other files by the real place of its programs, and a link to postgres
// alone, in a folder such as /usr/local/bin, leads away from its initdb.
func realFolder(folder string) (string, error) {
	var real [2]string
	for i, name := range []string{"postgres", "initdb"} {
		path, err := filepath.EvalSymlinks(filepath.Join(folder, name))
		if errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("it has no program %s", name)
		}
		if err != nil {
			return "", fmt.Errorf("find program %s: %w", name, err)
		}
		real[i] = filepath.Dir(path)
	}
	if real[0] != real[1] {
		return "", fmt.Errorf("postgres is a link into %s, but initdb into %s", real[0], real[1])
	}
	return real[0], nil
}

// newestFirst expands a pattern and sorts by the version in the paths as a number: 18 before 14 before 9.6.
func newestFirst(pattern string) []string {
	folders, _ := filepath.Glob(pattern) // the only error is a malformed pattern
	slices.SortStableFunc(folders, func(a, b string) int { return slices.Compare(pathVersion(b), pathVersion(a)) })
	return folders
}

var numbers = regexp.MustCompile(`[0-9]+`)

func pathVersion(path string) []int {
	var version []int
	for _, digits := range numbers.FindAllString(path, -1) {
		number, _ := strconv.Atoi(digits)
		version = append(version, number)
	}
	return version
}

// versionOutput matches "postgres (PostgreSQL) 15.3 (Debian ...)", "… 18beta1" and "… 9.6.24".
var versionOutput = regexp.MustCompile(`\(PostgreSQL\) ([0-9]+)\S*`)

// check asks the programs in a folder for their version, as the account that is to run them.
func (f finder) check(ctx context.Context, folder string) (programs, error) {
	folder, err := realFolder(folder)
	if err != nil {
		return programs{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var major int
	for _, name := range []string{"postgres", "initdb"} {
		command := exec.CommandContext(ctx, filepath.Join(folder, name), "--version")
		command.Dir = "/"
		command.Env = f.account.environment()
		command.SysProcAttr = f.account.attributes()
		command.WaitDelay = time.Second // a script may leave a child that holds the output open
		output, err := command.Output()
		if err != nil {
			return programs{}, fmt.Errorf("run %s --version as %s: %w", name, f.account, err)
		}
		match := versionOutput.FindSubmatch(output)
		if match == nil {
			return programs{}, fmt.Errorf("%s --version says %q", name, strings.TrimSpace(string(output)))
		}
		major, _ = strconv.Atoi(string(match[1]))
		if major < oldestMajor || major > newestMajor || f.major != 0 && major != f.major {
			return programs{}, fmt.Errorf("%s is version %s, not %s",
				name, strings.TrimPrefix(string(match[0]), "(PostgreSQL) "), f.wanted())
		}
	}
	return programs{folder: folder, major: major}, nil
}
