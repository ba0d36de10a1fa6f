package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config/block"
)

// Load reads and decodes the file at path. env looks up environment variables, as os.LookupEnv does. The error is an
// *Error.
func Load(path string, env func(string) (string, bool)) (*Config, error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	return Parse(path, src, env)
}

// Parse decodes src. The filename is used in messages, and its folder is where relative paths of file() begin. The
// error is an *Error.
func Parse(filename string, src []byte, env func(string) (string, bool)) (*Config, error) {
	doc := newDocument(filename, env)
	doc.src = src
	if err := doc.Decode(filename, src, "the configuration", doc.grammar()); err != nil {
		return nil, err
	}
	doc.electionOf("") // there is one, even for nothing
	for _, e := range doc.config.Elections {
		e.Fingerprint = e.fingerprint(doc.config.Topics)
	}
	return doc.config, nil
}

func unreadable(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return block.Unreadable("No configuration", fmt.Sprintf("There is no file %s. Name another one, or begin with "+
			"a copy of the reference configuration, config.hcl in the root of the pgsolo repository, which shows "+
			"every block.", path), err)
	}
	return block.Unreadable("Unreadable configuration",
		fmt.Sprintf("%s cannot be read: %v.", path, block.WithoutPath(err)), err)
}

// document is one file while it is decoded.
type document struct {
	*block.Decoder
	src      []byte
	language *block.Language
	config   *Config
	taken    block.Names
	silent   *hclsyntax.Attribute // notify = false, or nil
}

func newDocument(filename string, env func(string) (string, bool)) *document {
	language := block.NewLanguage(filename, env, map[string]string{
		eventVariable: "in when and in the action of a handler",
		runVariable:   "in the action of a cron job",
	}, "Variables exist only in action blocks and in when.")
	return &document{Decoder: block.NewDecoder(language), language: language, config: defaults(), taken: block.Names{}}
}

// grammar lists the blocks of the file in the order in which they are decoded: topics and elections before what names
// them.
func (doc *document) grammar() block.Body {
	return block.Body{Blocks: []block.Block{
		{Kind: "postgres", Single: true, Required: true, Example: `postgres { url = env("DATABASE_URL") }`,
			Open: doc.postgres},
		{Kind: "election", Named: true, CheckName: checkName, Open: doc.election},
		{Kind: "http", Single: true, Open: doc.http},
		{Kind: "log", Single: true, Open: doc.log},
		{Kind: "topic", Named: true, CheckName: checkTopicName, Open: doc.topic},
		{Kind: "handler", Named: true, CheckName: checkName, Open: doc.handler},
		{Kind: "cron", Named: true, CheckName: checkName, Open: doc.cron},
	}}
}
