package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Load reads and decodes the file at path. env looks up environment variables, as os.LookupEnv does. The error is an *Error.
func Load(path string, env func(string) (string, bool)) (*Config, error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	return Parse(path, src, env)
}

// Parse decodes src. The filename is used in messages, and its folder is where relative paths of file() begin. The error is
// an *Error.
func Parse(filename string, src []byte, env func(string) (string, bool)) (*Config, error) {
	var diags hcl.Diagnostics
	file, parsed := hclsyntax.ParseConfig(src, filename, hcl.InitialPos)
	if parsed.HasErrors() {
		return nil, newError(file, src, firstOfEach(parsed))
	}
	root := file.Body.(*hclsyntax.Body)
	doc := &document{
		decoder: decoder{functions: functions(filepath.Dir(filename), env), diags: &diags},
		config:  defaults(),
		taken:   blockNames{},
	}
	doc.decode(root, fileStart(root), "the configuration", doc.grammar())
	doc.electionOf("") // there is one, even for nothing
	if diags.HasErrors() {
		return nil, newError(file, src, diags)
	}
	return doc.config, nil
}

// firstOfEach drops the syntax errors that only follow from the one on the same line or the line before.
func firstOfEach(diags hcl.Diagnostics) hcl.Diagnostics {
	var kept hcl.Diagnostics
	line := -1
	for _, diag := range diags {
		if line < 0 || diag.Subject.Start.Line > line+1 {
			kept = append(kept, diag)
		}
		line = diag.Subject.Start.Line
	}
	return kept
}

// fileStart is where a block that is missing from the file is reported.
func fileStart(root *hclsyntax.Body) hcl.Range {
	return hcl.Range{Filename: root.SrcRange.Filename, Start: hcl.InitialPos, End: hcl.InitialPos}
}

func unreadable(path string, err error) *Error {
	diag := &hcl.Diagnostic{
		Severity: hcl.DiagError,
		Summary:  "Unreadable configuration",
		Detail:   fmt.Sprintf("%s cannot be read: %v.", path, withoutPath(err)),
	}
	if errors.Is(err, fs.ErrNotExist) {
		diag.Summary = "No configuration"
		diag.Detail = fmt.Sprintf("There is no file %s. Name another one, or begin with a copy of the reference configuration, "+
			"config.hcl in the root of the pgsolo repository, which shows every block.", path)
	}
	return &Error{filename: path, diags: hcl.Diagnostics{diag}, cause: err}
}

// withoutPath drops what a message that names the path already says.
func withoutPath(err error) error {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err
	}
	return err
}

// document is one file while it is decoded.
type document struct {
	decoder
	config *Config
	taken  blockNames
	silent *hclsyntax.Attribute // notify = false, or nil
}

// grammar lists the blocks of the file in the order in which they are decoded: topics and elections before what names them.
func (doc *document) grammar() body {
	return body{blocks: []block{
		{kind: "postgres", single: true, required: true, example: `postgres { url = env("DATABASE_URL") }`, open: doc.postgres},
		{kind: "election", named: true, open: doc.election},
		{kind: "http", single: true, open: doc.http},
		{kind: "log", single: true, open: doc.log},
		{kind: "topic", named: true, checkName: checkTopicName, open: doc.topic},
		{kind: "handler", named: true, open: doc.handler},
		{kind: "cron", named: true, open: doc.cron},
	}}
}
