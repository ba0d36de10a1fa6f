// Package loop is what the loops of a leader share: the leadership they run for, their sign of life, wake-ups, and log
// lines that must not come with every event. It imports no other package of ours.
package loop
