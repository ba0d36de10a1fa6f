// Package logwriter puts a bounded queue between a log and its output, such as a pipe whose reader has stopped or gone.
//
// # What it guarantees
//
//   - Write never waits for the output, and never fails: it copies the line into memory, under a lock under which
//     nothing but such copies is made.
//   - Lines keep their order. Each is one write to the output.
//   - At most the limit in bytes waits, beside the line that is being written. Once a line finds no room, it and all
//     that follow are dropped until half of the queue has been written.
//   - Lines that were dropped, or whose write failed, are counted. A line in their place says how many they are, as
//     soon as the output takes one again.
//   - Close returns within its bound.
//
// # What it does not guarantee
//
//   - A line that was dropped is lost. So is one that still waits when the process is killed, crashes, or is ended
//     without Close.
//   - A write that the output does not take cannot be ended: after Close the goroutine of the writer stays in it until
//     it returns, and does nothing more then.
//   - What others write to the same output, above all the runtime when it panics, goes past the writer: it may come
//     before lines that wait, and it blocks where the output does.
package logwriter
