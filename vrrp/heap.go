package vrrp

import "container/heap"

// timers orders routers by deadline, the earliest first. It implements
// heap.Interface.
type timers []*router

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].deadline.Before(t[j].deadline) }
func (t timers) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].index, t[j].index = i, j
}

func (t *timers) Push(x any) {
	r := x.(*router)
	r.index = len(*t)
	*t = append(*t, r)
}

func (t *timers) Pop() any {
	last := len(*t) - 1
	r := (*t)[last]
	(*t)[last] = nil
	*t = (*t)[:last]
	r.index = -1
	return r
}

// schedule moves a router to where its machine's deadline belongs.
func (t *timers) schedule(r *router) {
	deadline, ok := r.machine.Deadline()
	switch {
	case !ok:
		t.remove(r)
	case r.index < 0:
		r.deadline = deadline
		heap.Push(t, r)
	case !deadline.Equal(r.deadline):
		r.deadline = deadline
		heap.Fix(t, r.index)
	}
}

func (t *timers) remove(r *router) {
	if r.index >= 0 {
		heap.Remove(t, r.index)
	}
}
