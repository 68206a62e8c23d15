package process

import "time"

// KindChildren is the kind of the message in which the supervisor tells the
// director what became of the processes; its body is Children.
const KindChildren = "children"

// KindHello is the kind of the first message of every process to its peers;
// its body is Hello. It asks the peer to say all that the newcomer must know.
const KindHello = "hello"

// Hello introduces a process that has just started.
type Hello struct {
	PID int `json:"pid"`
	// Down is how long the role has been without a process, or at least about
	// to say hello, since the last one died; 0 for the first.
	Down time.Duration `json:"down_ns,omitempty"`
}

// Children is the state of a node's processes as the supervisor sees them.
type Children struct {
	Supervisor int       `json:"supervisor"` // process id
	Since      time.Time `json:"since"`      // when it started
	Children   []Child   `json:"children"`
}

// Child is the state of one process.
type Child struct {
	Role Role `json:"role"`
	PID  int  `json:"pid"` // 0 while it is not running
	// Since is when it started, or while it is not running, when it ended.
	Since    time.Time `json:"since"`
	Restarts int       `json:"restarts"`
	// LastExit says how the previous one ended, such as "signal: killed".
	LastExit string `json:"last_exit,omitempty"`
	// Down is how long the role was without a process before the last restart.
	Down time.Duration `json:"down_ns"`
	// Scheduling is the policy as read from the kernel, with the reason where
	// real-time scheduling was asked for and refused.
	Scheduling string `json:"scheduling"`
}
