package block

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Fingerprint tells the text of a block from another one's. Comments, spaces and line ends make no difference, nor does
// what functions such as env return.
func Fingerprint(src []byte, found *hclsyntax.Block) string {
	at := found.Range()
	tokens, _ := hclsyntax.LexConfig(src[at.Start.Byte:at.End.Byte], at.Filename, hcl.InitialPos) // it was parsed
	sum := sha256.New()
	for _, token := range tokens {
		if token.Type != hclsyntax.TokenComment && token.Type != hclsyntax.TokenNewline {
			sum.Write(token.Bytes)
			sum.Write([]byte{0})
		}
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}
