// Package block decodes a file of HCL by a grammar of blocks and arguments, strictly. It knows HCL and nothing of
// pgsolo: what blocks there are and what they mean is up to its importer.
//
// What it guarantees:
//
//   - All mistakes of a file are reported at once, in an Error, each with its file, line and column, the line itself,
//     the value underlined, and a suggestion where a name looks mistyped. Only syntax errors end the reading early.
//   - A value goes to its destination only if it is right. One that is not known before its variable is, is left alone.
//   - What env and file return is never part of a message. Nor is a secret that stands in the file, which is masked in
//     the quoted lines too: what is called secret, token, password and the like, a value of headers, user, password
//     and query of a URL (of a postgres:// URL the password), what follows Bearer, and whsec_…, wherever in an
//     expression it stands. What Language.Evaluate reports repeats no value at all.
//   - What an argument only refers to arrives byte for byte: a string, a number, a list or an object of a payload as it
//     was stored, what env and file return, and literals of the file. So does a part of a template.
//
// What it does not guarantee:
//
//   - A secret in the file that nothing says is one, such as the path of a URL or an argument of a program, is shown.
//   - The fields of a variable whose type is not known are not checked before Language.Evaluate.
//   - What is computed is a value: its strings and the names of its objects are in Unicode NFC, as HCL has them, its
//     numbers have no needless zeros, and its objects are sorted by name. That holds for the results of functions other
//     than env, file and try, of for, of operators, and of jsonencode unless its argument only refers to something.
package block
