// Package config is what config.hcl says: Load describes it, and Bind makes work of the description. Package block
// reads HCL.
//
// Each block of the file has a file here, which says what may stand in it and what it means. A kind of action is one
// file and one line in actionKinds.
//
// What it guarantees:
//
//   - Load and Parse are pure: they read the file and what file() names, and call env. They open nothing else.
//   - All mistakes of a file are reported at once, each with its place and a suggestion where a name looks mistyped.
//   - A Config that is returned without an error has no handler without an action, no reference to an undeclared topic
//     (unless any is allowed, by topic "*"), no schedule that does not parse, and no name that the database could not
//     keep.
//   - What is accepted here, jobs accepts too.
//   - Expressions that use the variables event or run are checked when the file is loaded, against the types that these
//     variables will have, and evaluated for each event or tick.
//   - What env and file return is never part of a message, nor are secrets that stand in the file, as far as package
//     block knows them: they are masked in the quoted lines. Values of an event or a tick are not part of a message
//     either.
//   - What an argument only refers to arrives byte for byte: a string, a number, a list or an object of a payload as it
//     was stored, what env and file return, and literals of the file. So does a part of a template, and the payload as
//     the body.
//   - What producers fill in of an event, its key, payload and headers, is data wherever it is from on its way: no text
//     of a program that a common shell or interpreter reads, no program or name, and no part of a URL before its path.
//     Behind that it is percent-encoded unless raw() says otherwise, and leads to no other folder. The rest of an event
//     and all of a run are pgsolo's own.
//   - Defaults of handlers, jobs and elections are those of their packages.
//
// What it does not guarantee:
//
//   - It connects to nothing. Whether a database or a URL exists is found out by those who use it. The programs and
//     the folder of a command, where they depend on no event, must be there.
//   - The fields of an event's payload are unknown when the file is loaded. An expression that expects a field that an
//     event does not have fails as an attempt at that event; try() gives another value instead.
//   - A program that package interpreter does not know, and a text that evaluates its own arguments, may take data for
//     a program.
//   - What is computed is a value: its strings and the names of its objects are in Unicode NFC, as HCL has them, its
//     numbers have no needless zeros, and its objects are sorted by name. That holds for the results of functions other
//     than env, file and try, of for, of operators, and of jsonencode unless its argument only refers to something.
//     Of names of one object that differ only in their normal form, the one that is in it can be referred to.
package config
