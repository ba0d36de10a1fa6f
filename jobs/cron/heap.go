package cron

import (
	"container/heap"
	"time"
)

// wakeHeap orders the jobs of a term by when they have to be scanned.
type wakeHeap []*jobTerm

func (h *wakeHeap) init(jobs []*jobTerm) {
	*h = append((*h)[:0], jobs...)
	for i, j := range *h {
		j.position = i
	}
	heap.Init(h)
}

// moved is to be called when the job's wake has changed.
func (h *wakeHeap) moved(j *jobTerm) { heap.Fix(h, j.position) }

// wakeSoon has a job scanned at once.
func (h *wakeHeap) wakeSoon(j *jobTerm) {
	j.wake = time.Time{}
	h.moved(j)
}

func (h wakeHeap) Len() int { return len(h) }

func (h wakeHeap) Less(i, k int) bool { return h[i].wake.Before(h[k].wake) }

func (h wakeHeap) Swap(i, k int) {
	h[i], h[k] = h[k], h[i]
	h[i].position, h[k].position = i, k
}

// Push and Pop are for the interface: no job comes or goes during a term.
func (h *wakeHeap) Push(any) {}

func (h *wakeHeap) Pop() any { return nil }
