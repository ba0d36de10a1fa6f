package config

import (
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config/block"
)

func (doc *document) log(*hclsyntax.Block) block.Body {
	to := &doc.config.Log
	return block.Body{Arguments: []block.Argument{
		{Name: "level", Value: block.Word(&to.Level, "trace", "debug", "info", "warn", "error")},
		{Name: "format", Value: block.Word(&to.Format, "text", "json")},
	}}
}
