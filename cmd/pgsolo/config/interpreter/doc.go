// Package interpreter knows which arguments of common programs are programs themselves: the text behind sh -c, perl -e
// or awk, the command behind env, timeout or ssh. What comes from others must not be one.
//
// What it does not guarantee: that a program which it does not know, or a text that evaluates its own arguments, as
// eval "$1" does, reads no data as a program.
package interpreter
