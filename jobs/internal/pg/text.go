package pg

import (
	"context"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"
)

// shortText is how much of a text is kept where the server refuses more for a reason that is not its characters.
const shortText = 200

// WithTexts calls write, which writes these texts of foreign origin. Where the server refuses that for what may be the
// sake of a text, it is called again with plainer ones: "?" for each character that the encoding of the database lacks,
// then short texts of ASCII, as an index or a domain of somebody else's may want them, then none. The texts stay as
// they were written, or are what they were if nothing helps.
func (db DB) WithTexts(ctx context.Context, texts []*string, write func() error) error {
	err := write()
	if !isOfText(err) {
		return err
	}
	before := make([]string, len(texts))
	for i, t := range texts {
		before[i] = *t
	}
	for _, plainer := range []func(string) string{db.fitting(ctx, texts), plain, func(string) string { return "" }} {
		for _, t := range texts {
			*t = plainer(*t)
		}
		if err = write(); !isOfText(err) {
			return err
		}
	}
	for i, t := range texts {
		*t = before[i]
	}
	return err
}

// isOfText says whether an error may be about a value: SQLSTATE classes 22 (data) and 54 (limits of the server).
func isOfText(err error) bool {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (strings.HasPrefix(refused.Code, "22") || strings.HasPrefix(refused.Code, "54"))
}

const selectFitting = `select convert_from(c, 'UTF8') from unnest($1::bytea[]) c where pgsolo.fits(c)`

// fitting returns what replaces the characters of texts that the database cannot hold. Where it cannot be asked, these
// are all but ASCII.
func (db DB) fitting(ctx context.Context, texts []*string) func(string) string {
	seen, characters := map[rune]bool{}, [][]byte{}
	for _, t := range texts {
		for _, r := range *t {
			if r >= utf8.RuneSelf && !seen[r] {
				seen[r] = true
				characters = append(characters, []byte(string(r)))
			}
		}
	}
	fits := map[rune]bool{}
	rows, err := db.Query(ctx, selectFitting, characters)
	if err == nil {
		for rows.Next() {
			r, _ := utf8.DecodeRune(rows.RawValues()[0])
			fits[r] = true
		}
		rows.Close()
	}
	return func(s string) string { return replace(s, func(r rune) bool { return fits[r] }) }
}

func plain(s string) string {
	s = replace(s, func(rune) bool { return false })
	return s[:min(len(s), shortText)]
}

// replace keeps ASCII without NUL, and the characters that may stay.
func replace(s string, stays func(rune) bool) string {
	return strings.Map(func(r rune) rune {
		if r > 0 && r < utf8.RuneSelf || r != utf8.RuneError && stays(r) {
			return r
		}
		return '?'
	}, s)
}
