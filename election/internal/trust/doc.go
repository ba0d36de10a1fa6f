// Package trust says for how long a leader may rely on its leadership after a ping that was answered, whatever becomes
// of clocks and of the machine.
package trust
