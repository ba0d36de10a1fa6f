// Package block decodes a file of HCL by a grammar of blocks and arguments, strictly. It knows HCL and nothing of
// pgsolo: what blocks there are and what they mean is up to its importer.
//
// What it guarantees:
//
//   - All mistakes of a file are reported at once, in an Error, each with its file, line and column, the line itself,
//     the value underlined, and a suggestion where a name looks mistyped. Only syntax errors end the reading early.
//   - A value goes to its destination only if it is right. One that is not known before its variable is, is left alone.
//   - What env and file return is never part of a message, nor is the value of a secret or the password of a URL that
//     stands in the file: both are masked in the quoted lines. What Language.Evaluate reports repeats no value at all.
//
// What it does not guarantee:
//
//   - The fields of a variable whose type is not known are not checked before Language.Evaluate.
//   - Strings in expressions are normalized to Unicode NFC, as HCL does it.
package block
